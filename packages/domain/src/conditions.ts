/**
 * Conditions, in the sense of the Kubernetes API conventions ("Typical status properties"): a wait that a user can
 * read. Every wait of ours is one, so that "stuck" always has a reason, a deadline and a next try.
 */
export interface Condition {
  type: ConditionType;
  status: 'True' | 'False' | 'Unknown';
  /** CamelCase, stable, for programs. */
  reason: string;
  /** One sentence for people: what is waited for, or what was last wrong. */
  message: string;
  /** When `status` last changed (RFC 3339). */
  lastTransitionTime: string;
  /** When the wait is given up or escalated (RFC 3339). */
  deadline?: string;
  /** When it is looked at next (RFC 3339). */
  nextTryAt?: string;
  /** The last error in its own words. */
  lastError?: string;
  /** The last lines of the log of what is waited for. */
  logTail?: string[];
  /** Of `Reachable`: names of the hosts that reach it. */
  seenBy?: string[];
}

export type ConditionType =
  | 'Ready'
  | 'HostsReady'
  | 'SystemStackHealthy'
  | 'EtcdHealthy'
  | 'ApiServerReady'
  | 'NodesReady'
  | 'ObjectsApplied'
  | 'PlanBlocked'
  | 'Brake'
  | 'Connected'
  /** Of a host whose agent is silent: whether other hosts of its environment reach it. */
  | 'Reachable'
  /** Of a local host: whether its machine has it switched on. */
  | 'Powered'
  /** Of a machine: whether no other one comes with its credential. */
  | 'IdentityUnique'
  /** Of a host, as of Kubernetes' Nodes: whether a disk that its services write to is nearly full. */
  | 'DiskPressure'
  /** Of a host: whether its labels are on its Node. */
  | 'LabelsInStep'
  | 'ArtifactsReady'
  | 'Removed';

/** What changes of a condition; the time of transition is worked out. */
export type ConditionInput = Omit<Condition, 'lastTransitionTime'>;

/**
 * Sets one condition in a list, keeping `lastTransitionTime` while `status` stays the same. Returns a new list, sorted
 * by type, so that equal states compare equal.
 */
export function setCondition(conditions: readonly Condition[], next: ConditionInput, now: Date): Condition[] {
  const before = conditions.find((c) => c.type === next.type);
  const lastTransitionTime =
    before !== undefined && before.status === next.status ? before.lastTransitionTime : now.toISOString();
  return [...conditions.filter((c) => c.type !== next.type), { ...next, lastTransitionTime }].sort((a, b) =>
    a.type < b.type ? -1 : 1,
  );
}

export function findCondition(conditions: readonly Condition[], type: ConditionType): Condition | undefined {
  return conditions.find((c) => c.type === type);
}
