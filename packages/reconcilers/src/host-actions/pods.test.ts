import { describe, expect, it } from 'vitest';
import { budgetIn, type Pod, podsToGo } from './pods.ts';

function pod(
  name: string,
  over: { kind?: string | null; emptyDir?: boolean; phase?: string } & Partial<Pod['metadata']> = {},
): Pod {
  const { kind = 'ReplicaSet', emptyDir = false, phase = 'Running', ...metadata } = over;
  return {
    metadata: {
      name,
      namespace: 'default',
      uid: name,
      ...(kind === null ? {} : { ownerReferences: [{ kind, name: 'owner', controller: true }] }),
      ...metadata,
    },
    spec: emptyDir ? { volumes: [{ name: 'scratch', emptyDir: {} }] } : {},
    status: { phase },
  };
}

const strict = { unmanagedToo: false, deleteEmptyDirData: false };
const left = (pods: Pod[], options = strict) => {
  const { leaving, refusals } = podsToGo(pods, options);
  return { leaving: leaving.map((p) => p.metadata.name), refusals };
};

describe('who leaves a host that is drained', () => {
  it('is who a controller makes again elsewhere; pods of DaemonSets and mirror pods stay', () => {
    const mirror = pod('mirror', { kind: 'Node', annotations: { 'kubernetes.io/config.mirror': 'x' } });
    expect(left([pod('web'), pod('agent', { kind: 'DaemonSet' }), mirror])).toEqual({
      leaving: ['web'],
      refusals: [],
    });
  });

  it('is refused for what would be lost, each pod named with the option that allows it', () => {
    const pods = [pod('alone', { kind: null }), pod('scratch', { emptyDir: true })];
    expect(left(pods).refusals).toEqual([
      'nobody would make pod default/alone again (force allows it)',
      'pod default/scratch would lose its emptyDir (deleteEmptyDirData allows it)',
    ]);
    expect(left(pods, { unmanagedToo: true, deleteEmptyDirData: true })).toEqual({
      leaving: ['alone', 'scratch'],
      refusals: [],
    });
  });

  it.each([
    ['has ended', { phase: 'Succeeded' }],
    ['has failed', { phase: 'Failed' }],
    ['is ending', { deletionTimestamp: '2026-01-01T00:00:00Z' }],
  ])('loses nothing of a pod that %s', (_what, over) => {
    expect(left([pod('done', { kind: null, emptyDir: true, ...over })])).toEqual({
      leaving: ['done'],
      refusals: [],
    });
  });

  it('goes by the controller, not by any owner', () => {
    const ownerReferences = [{ kind: 'DaemonSet', name: 'other' }];
    expect(left([pod('owned', { ownerReferences })], { ...strict, unmanagedToo: true }).leaving).toEqual([
      'owned',
    ]);
  });
});

it.each([
  [
    {
      message: 'Cannot evict pod as it would violate the pod’s disruption budget.',
      details: {
        causes: [
          {
            reason: 'DisruptionBudget',
            message: 'The disruption budget web needs 2 healthy pods and has 2 currently',
          },
        ],
      },
    },
    { budget: 'web', message: 'The disruption budget web needs 2 healthy pods and has 2 currently' },
  ],
  [{ message: 'too many budgets' }, { budget: null, message: 'too many budgets' }],
  ['not JSON', { budget: null, message: 'not JSON' }],
])('reads which budget refuses an eviction: %j', (body, expected) => {
  expect(budgetIn(typeof body === 'string' ? body : JSON.stringify(body))).toEqual(expected);
});
