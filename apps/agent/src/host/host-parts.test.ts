import { describe, expect, it } from 'vitest';
import { backoffMs } from './backoff.ts';
import { mountsBelow, triedEach } from './removal.ts';
import { stopOrder } from './stop-order.ts';
import { Waiters } from './waiters.ts';
import { exitInWords } from './words.ts';

it('backs off 0, 1, 2, 4 … 60 s', () => {
  expect([0, 1, 2, 3, 6, 7, 50].map(backoffMs)).toEqual([0, 1000, 2000, 4000, 32_000, 60_000, 60_000]);
});

describe('the order of stopping', () => {
  it('leaves for last what others need', () => {
    const instances = [
      { id: 'etcd', after: [] },
      { id: 'apiserver', after: ['etcd'] },
      { id: 'containerd', after: [] },
      { id: 'kubelet', after: ['containerd', 'apiserver'] },
      { id: 'scheduler', after: ['apiserver'] },
    ];
    expect(stopOrder(instances)).toEqual([['kubelet', 'scheduler'], ['apiserver', 'containerd'], ['etcd']]);
  });
  it('ends even where there is none', () => {
    const circle = [
      { id: 'a', after: ['b'] },
      { id: 'b', after: ['a'] },
    ];
    expect(stopOrder(circle)).toEqual([['a', 'b']]);
    expect(stopOrder([{ id: 'a', after: ['elsewhere'] }])).toEqual([['a']]);
  });
});

describe('waiting', () => {
  it('ends at the next look at which the condition holds', async () => {
    const waiters = new Waiters();
    let holds = false;
    const waiting = waiters.until(() => holds, new AbortController().signal);
    waiters.look();
    holds = true;
    waiters.look();
    await waiting;
  });
  it('ends by the clock where only time passes', async () => {
    const end = Date.now() + 150;
    await new Waiters().until(() => Date.now() >= end, new AbortController().signal);
  });
  it('is given up with its signal', async () => {
    const abort = new AbortController();
    const waiting = new Waiters().until(() => false, abort.signal);
    abort.abort(new Error('not wanted'));
    await expect(waiting).rejects.toThrow('not wanted');
    await expect(new Waiters().until(() => true, abort.signal)).rejects.toThrow('not wanted');
  });
});

it.each([
  [{ code: null, signal: 'SIGSEGV' }, 'its process was ended by SIGSEGV'],
  [{ code: 2, signal: null }, 'its process exited with code 2'],
  [{ code: 127, signal: null }, 'its program could not be executed (exit code 127)'],
  [{ code: null, signal: null }, 'its process ended'],
])('says how %j ended', (exit, words) => {
  expect(exitInWords(exit)).toBe(words);
});

it('finds the mounts below folders, last mounted first', () => {
  const mountinfo = `
1 0 0:1 / / rw - ext4 /dev/a rw
2 1 0:2 / /var/lib/kubelet/pods/a rw - tmpfs tmpfs rw
3 1 0:3 / /var/lib/kubelet-other rw - tmpfs tmpfs rw
4 1 0:4 / /var/lib/kubelet rw - tmpfs tmpfs rw
`;
  expect(mountsBelow(mountinfo, ['/var/lib/kubelet'])).toEqual([
    '/var/lib/kubelet',
    '/var/lib/kubelet/pods/a',
  ]);
});

it('tries each part of a removal whatever becomes of the others, those that fail again', async () => {
  const done: string[] = [];
  const fails = (name: string, times: number) => () => {
    done.push(name);
    if (done.filter((one) => one === name).length <= times) throw new Error(`${name} is busy`);
  };
  expect(await triedEach([fails('a', 1), fails('b', 9), fails('c', 0)], 3, 1)).toEqual(['b is busy']);
  expect(done).toEqual(['a', 'b', 'c', 'a', 'b', 'b']);
});
