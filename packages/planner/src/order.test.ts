import { expect, it } from 'vitest';
import { services } from './fixtures.ts';
import { startOrder } from './order.ts';

it('puts what is waited for first, whatever the order of the input', () => {
  const names = ['containerd', 'etcd', 'kube-apiserver', 'kube-scheduler', 'kubelet'];
  expect(startOrder(services).map((s) => s.name)).toEqual(names);
  expect(startOrder(services.toReversed()).map((s) => s.name)).toEqual(names);
});

it('refuses services that wait for each other', () => {
  const cycle = [
    { name: 'a', after: ['b'] },
    { name: 'b', after: ['a'] },
  ];
  expect(() => startOrder(cycle)).toThrow('Services wait for each other: a, b');
});
