import { describe, expect, it } from 'vitest';
import { labelChanges, labelManager } from './node-labels.ts';

const kubelet = { 'kubernetes.io/hostname': 'h', 'kubernetes.io/os': 'linux' };
const managed = (labels: Record<string, string>, managers: string[]) =>
  Object.fromEntries(Object.keys(labels).map((key) => [key, managers]));

/** A Node with labels of kubelet's own, of ours, and of others. */
function node(ours: Record<string, string>, others: Record<string, string> = {}, manager = 'kubectl-label') {
  return {
    labels: { ...kubelet, ...ours, ...others },
    labelManagers: {
      ...managed(kubelet, ['kubelet']),
      ...managed(ours, [labelManager]),
      ...managed(others, [manager]),
    },
  };
}
const host = (labels: Record<string, string>, joinedLabels: Record<string, string> | null = null) => ({
  labels,
  joinedLabels,
});

describe('labels of a host on its Node', () => {
  it('are applied when they are missing, different, or not ours yet', () => {
    const apply = { rack: 'r1' };
    expect(labelChanges(host(apply), node({}))).toEqual({ apply, remove: [] });
    expect(labelChanges(host(apply), node({ rack: 'r2' }))).toEqual({ apply, remove: [] });
    expect(labelChanges(host(apply), node({}, { rack: 'r1' }, 'kubelet'))).toEqual({ apply, remove: [] });
  });

  it('are left alone when they are there', () => {
    expect(labelChanges(host({ rack: 'r1' }), node({ rack: 'r1' }, { team: 'x' }))).toEqual({
      apply: undefined,
      remove: [],
    });
  });

  it('go when the host has them no more, those that kubelet registered too', () => {
    expect(labelChanges(host({}), node({ rack: 'r1' }))).toEqual({ apply: {}, remove: ['rack'] });
    const registered = node({}, { rack: 'r1' }, 'kubelet');
    expect(labelChanges(host({}, { rack: 'r1' }), registered)).toEqual({
      apply: undefined,
      remove: ['rack'],
    });
    const both = { ...node({ rack: 'r1' }), labelManagers: { rack: ['kubelet', labelManager] } };
    expect(labelChanges(host({}), both).remove).toEqual(['rack']);
  });

  it('of others stay, and so does what somebody else set as well', () => {
    expect(labelChanges(host({}), node({}, { team: 'x' }))).toEqual({ apply: undefined, remove: [] });
    expect(labelChanges(host({}, { team: 'x' }), node({}, { team: 'x' })).remove).toEqual([]);
    const shared = { ...node({ rack: 'r1' }), labelManagers: { rack: ['kubectl-label', labelManager] } };
    expect(labelChanges(host({}), shared)).toEqual({ apply: {}, remove: [] });
  });

  it('never are those that kubelet itself keeps', () => {
    const own = { 'kubernetes.io/hostname': 'mine' };
    expect(labelChanges(host(own), node({}))).toEqual({ apply: undefined, remove: [] });
  });
});
