import type { ConditionInput } from './conditions.ts';

/**
 * A plan is immutable, has a parent and a generation, and for each action a reason that a user can read. It becomes the
 * target of an environment only by compare-and-swap on its parent.
 */
export interface Plan {
  id: string;
  environmentId: string;
  generation: number;
  parentId: string | null;
  /** What must run, wholly: an instance that is not here is stopped and removed. */
  instances: PlannedInstance[];
  /** What changed against the parent, and why. */
  actions: PlanAction[];
  /** Failures remembered for each service and host, for the backoff. Key: `<service>/<hostId>`. */
  failures: Record<string, FailureMemory>;
  createdAt: string;
}

export interface PlannedInstance {
  id: string;
  serviceId: string;
  /** Name of the service: its component. */
  service: string;
  hostId: string;
  specHash: string;
  /** Hash of the spec without what may change while it runs, where it has such. */
  startHash?: string;
  /** Of etcd: the member that it runs. */
  memberId?: string;
  /** Instances on the same host that must be healthy before this one is started. */
  after: string[];
  /** Earliest start (ms since the epoch), where a backoff holds it back; 0 = at once. */
  notBefore: number;
}

export interface PlanAction {
  /** `reload`: the instance runs on, and takes up what changed. */
  kind: 'create' | 'replace' | 'reload' | 'remove';
  service: string;
  hostId: string;
  instanceId: string;
  /** The instance that this one replaces. */
  replaces?: string;
  /** How long the old one gets to stop by itself (ms); 0 = killed at once, as it does not answer anyway. */
  graceMs?: number;
  reason: string;
}

export interface FailureMemory {
  /** Failures in a row, forgotten after five healthy minutes. */
  count: number;
  /** When it last failed (ms since the epoch). */
  lastAt: number;
  lastReason: string;
  /** Of these, the last ones in a row of instances that were not healthy for even ten seconds. */
  shortLived?: number;
}

/** Why the planner does not do something yet: shown as a condition, looked at again at `nextLookAt`. */
export interface PlanWait {
  condition: ConditionInput;
  /** When to look again (ms since the epoch). */
  nextLookAt: number;
}
