import type { ObservedInstance } from '@rancher/domain';
import { expect, it } from 'vitest';
import { type Before, inventoryChanges } from './inventory-changes.ts';

const now = new Date('2026-01-01T00:10:00Z');
const at = (seconds: number) => new Date(now.getTime() + seconds * 1000);
const host = { id: 'host_1', name: 'host-1' };

const row: Before = {
  id: 'ins_1',
  environmentId: 'env_1',
  service: 'kubelet',
  state: 'running',
  health: 'healthy',
  pid: 7,
  restarts: 0,
  message: null,
  reason: 'kubelet runs on every host',
  startedAt: at(-60),
  healthyAt: at(-59),
  exitedAt: null,
  createdAt: at(-61),
  certificates: [],
  replaces: null,
  replacedExitedAt: null,
};
const seen: ObservedInstance = {
  id: 'ins_1',
  service: 'kubelet',
  specHash: 'h',
  state: 'running',
  health: 'healthy',
  pid: 7,
  startedAt: at(-60).toISOString(),
  healthyAt: at(-59).toISOString(),
  restarts: 0,
  certificates: [],
};

function told(before: Partial<Before>, after: Partial<ObservedInstance>) {
  const { events, reconcile, rows } = inventoryChanges(
    host,
    [{ ...row, ...before }],
    [{ ...seen, ...after }],
    now,
  );
  return { told: events.map((e) => `${e.reason}: ${e.message}`), reconcile, written: rows.length };
}

const fresh: Partial<Before> = { state: 'starting', health: 'initializing', healthyAt: null };

it.each<[string, Partial<Before>, Partial<ObservedInstance>, string[], boolean]>([
  ['the same', {}, {}, [], false],
  [
    'only started',
    { ...fresh, state: 'pending', pid: null, startedAt: null },
    { state: 'starting', health: 'initializing' },
    [],
    false,
  ],
  [
    'healthy at first',
    fresh,
    {},
    ['InstanceHealthy: kubelet on host-1 is healthy, 1 s after its start'],
    true,
  ],
  [
    'healthy in place of one that exited',
    {
      ...fresh,
      replaces: 'ins_0',
      replacedExitedAt: at(-59.41),
      reason: 'kubelet on host-1 exited (code 1)',
    },
    {},
    ['InstanceReplaced: kubelet on host-1 exited (code 1); replaced in 0.41 s'],
    true,
  ],
  [
    'healthy in place of one that was frozen',
    { ...fresh, replaces: 'ins_0', createdAt: at(-2), reason: 'kubelet on host-1 is unhealthy: no answer' },
    {},
    ['InstanceReplaced: kubelet on host-1 is unhealthy: no answer; replaced in 2 s'],
    true,
  ],
  [
    'unhealthy',
    {},
    { health: 'unhealthy', message: 'no answer' },
    ['InstanceUnhealthy: kubelet on host-1 is unhealthy: no answer'],
    true,
  ],
  [
    'healthy again',
    { health: 'unhealthy' },
    {},
    ['InstanceHealthy: kubelet on host-1 is healthy again'],
    true,
  ],
  ['seen again', { state: 'unknown', health: 'unknown' }, {}, [], true],
  [
    'exited',
    {},
    { state: 'exited', health: 'unhealthy', exit: { code: 3, signal: null }, exitedAt: now.toISOString() },
    ['InstanceExited: kubelet on host-1 exited (code 3) after 1 min'],
    true,
  ],
  [
    'exited with a word',
    {},
    {
      state: 'exited',
      health: 'unhealthy',
      exit: { code: 3, signal: null },
      logTail: ['panic: no more room'],
      exitedAt: now.toISOString(),
    },
    ['InstanceExited: kubelet on host-1 exited (code 3) after 1 min: panic: no more room'],
    true,
  ],
  [
    'killed, whatever it said before',
    {},
    {
      state: 'exited',
      health: 'unhealthy',
      exit: { code: null, signal: 'SIGKILL' },
      logTail: ['error: a client went away'],
      exitedAt: now.toISOString(),
    },
    ['InstanceExited: kubelet on host-1 exited (signal SIGKILL) after 1 min'],
    true,
  ],
  [
    'started again by its agent',
    {},
    { restarts: 2, message: 'started again with its host' },
    [
      'InstanceRestartedByAgent: kubelet on host-1 was started again 2 times by its agent, while no server told it to: started again with its host',
    ],
    false,
  ],
  [
    'healthy after its agent started it again',
    { ...fresh, replaces: 'ins_0', restarts: 1 },
    { restarts: 1 },
    ['InstanceHealthy: kubelet on host-1 is healthy again'],
    true,
  ],
  ['on its way out', { state: 'stopping' }, { state: 'exited', health: 'unhealthy' }, [], true],
])('%s', (_name, before, after, events, reconcile) => {
  expect(told(before, after)).toMatchObject({ told: events, reconcile });
});

it('takes what the plan left out for removed once it is not listed, and nothing else', () => {
  const before = [
    { ...row, state: 'stopping' as const },
    { ...row, id: 'ins_2' },
  ];
  expect(inventoryChanges(host, before, [], now)).toMatchObject({
    removed: ['ins_1'],
    rows: [],
    reconcile: true,
  });
});

it('leaves what the plan wants in service while its host powers off', () => {
  const powering = inventoryChanges(host, [row], [{ ...seen, state: 'stopping' }], now);
  expect(powering).toMatchObject({ removed: [], rows: [], reconcile: false });
  expect(inventoryChanges(host, [row], [], now)).toMatchObject({ removed: [], rows: [] });
});
