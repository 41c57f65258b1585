import { expect, it } from 'vitest';
import { nodeOf } from './node.ts';

const addresses = [
  { type: 'Hostname', address: 'a' },
  { type: 'InternalIP', address: 'fd00::2' },
  { type: 'InternalIP', address: '172.30.0.2' },
];
const metadata = { name: 'a' };

it('takes the IPv4 address and the IPv4 block of a Node', () => {
  const spec = { podCIDR: 'fd01::/64', podCIDRs: ['fd01::/64', '10.42.0.0/24'] };
  expect(nodeOf({ metadata, spec, status: { addresses } })).toEqual({
    name: 'a',
    address: '172.30.0.2',
    podCidr: '10.42.0.0/24',
  });
});

it.each([
  [{}, { addresses }],
  [{ podCIDR: '10.42.0.0/24' }, { addresses: [] }],
  [{ podCIDR: '10.42.0.0/24' }, undefined],
  [undefined, undefined],
])('knows nothing of one that lacks either (%j, %j)', (spec, status) => {
  expect(
    nodeOf({
      metadata,
      ...(spec === undefined ? {} : { spec }),
      ...(status === undefined ? {} : { status }),
    }),
  ).toBeUndefined();
});
