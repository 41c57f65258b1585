/**
 * Where a member of etcd is on its way. The states in -ing are calls to etcd that were intended and are not known to be
 * done: whoever finds one carries it out, again if need be.
 *
 *     adding ──► learner ──► promoting ──► voter ──► removing ──► (no row)
 *                   └──────────────────────────────────▲
 */
export const etcdMemberStates = ['adding', 'learner', 'promoting', 'voter', 'removing'] as const;
export type EtcdMemberState = (typeof etcdMemberStates)[number];

/** Those of calls. */
export const etcdCallStates = ['adding', 'promoting', 'removing'] as const satisfies EtcdMemberState[];

/** Whether a call to etcd was intended for the member and is not known to be done. */
export function isEtcdCallPending({ state }: { state: EtcdMemberState }): boolean {
  return (etcdCallStates as readonly EtcdMemberState[]).includes(state);
}

/** A step of etcd's membership, recorded before it is done. `found`: one of the first members, which need no call. */
export interface EtcdMemberStep {
  kind: 'found' | 'add' | 'promote' | 'remove';
  /** Id of the member's row. */
  memberId: string;
  hostId: string;
  reason: string;
}
