import type {
  Affinity,
  Condition,
  ConditionInput,
  EnvironmentDesiredState,
  EtcdMemberState,
  EtcdMemberStep,
  Health,
  HostState,
  InstanceState,
  Plan,
  PlaneMode,
  PlanWait,
} from '@rancher/domain';

/** Everything that the planner may know. All times are milliseconds since the epoch. */
export interface PlannerInput {
  now: number;
  environment: {
    id: string;
    desiredState: EnvironmentDesiredState;
    generation: number;
    /** It was active once, so its etcd holds something: a first etcd member is never made again by itself. */
    bootstrapped: boolean;
    /** Default `overlapping`. */
    planes?: PlaneMode;
  };
  services: readonly PlannerService[];
  hosts: readonly PlannerHost[];
  /** The present target, or null before the first plan. */
  parent: Plan | null;
  /** Who belongs to etcd, or is to. */
  members: readonly PlannerMember[];
  /** What is known of the parent's instances. One that is missing here has not been reported yet. */
  observed: readonly PlannerInstance[];
  /** The environment's conditions as they are: a wait that goes on keeps the deadline that it began with. */
  conditions?: readonly Condition[];
  options?: Partial<PlannerOptions>;
  /** Hash of what the service should run on the host now. Pure, and total for hosts whose facts are known. */
  specHash(service: string, hostId: string): string;
  /** The same without what may change while it runs; absent: nothing may. */
  startHash?(service: string, hostId: string): string;
}

export type ServicePlacement = 'all' | 'control-plane' | 'etcd';

export interface PlannerService {
  id: string;
  name: string;
  placement: ServicePlacement;
  /** Null: global, one on every eligible host. */
  scale: number | null;
  /** Services that must be healthy on the same host before this one starts there. */
  after: readonly string[];
  /** Labels that its instances carry, for rules that name them. */
  labels?: Readonly<Record<string, string>>;
  /** Where it may run, besides what its plane says. */
  rules?: readonly Affinity[];
}

export interface PlannerHost {
  id: string;
  name: string;
  labels: Readonly<Record<string, string>>;
  /** `active` is connected; `reconnecting` and `disconnected` are lost. */
  state: HostState;
  desiredState: 'active' | 'removed';
  /** Null: never seen. */
  lastSeenMs: number | null;
  createdMs: number;
  /** Its agent has told its facts, so specs can be rendered for it. */
  factsKnown: boolean;
  /** A user wants nothing of the environment to run there, as long as it can run elsewhere. */
  evacuated?: boolean;
  /** Of a silent host: names of those of its environment that reach it. None: asked, and nobody does. */
  reachedBy?: readonly string[];
}

/** An instance as its agent last told of it. */
export interface PlannerInstance {
  id: string;
  service: string;
  hostId: string;
  state: InstanceState;
  health: Health;
  exit: { code: number | null; signal: string | null } | null;
  message: string | null;
  startedMs: number | null;
  healthyMs: number | null;
  exitedMs: number | null;
}

/** A member of etcd, at most one for each host. */
export interface PlannerMember {
  id: string;
  hostId: string;
  state: EtcdMemberState;
  /** It votes, as far as is known: it counts for quorum, promoted or not yet removed. */
  voting: boolean;
  /** Data of a member of before that its own is made from, where it is the first of a recovered etcd. */
  recoveredFrom?: string | null;
  /** Why the call that its state stands for has not succeeded yet. */
  lastError: string | null;
}

export interface PlannerOptions {
  /** How long a host may be lost before what can move moves elsewhere. */
  hostsReplaceAfterMs: number;
  /** How long a member of etcd may be lost before it is replaced: sooner, as each one counts. */
  etcdReplaceAfterMs: number;
  /** How long a host may take to register before its wait says that something is wrong. */
  hostRegisterDeadlineMs: number;
  /**
   * How long an instance may take to recover by itself once what it depends on is healthy again. As long as three failed
   * probes take: one that failed by itself since then has been failing for this long when it is told of.
   */
  dependencySettleMs: number;
  /** How long a step (a replacement, an etcd step) may take before its wait is overdue. */
  stepDeadlineMs: number;
  /** How long a host on which a service failed again and again is left to others. */
  badPlaceMs: number;
  /** A user said so: hosts that vanished before this do not hold the brake. */
  brakeReleasedAt: number;
}

export const plannerDefaults: PlannerOptions = {
  hostsReplaceAfterMs: 3_600_000,
  etcdReplaceAfterMs: 300_000,
  hostRegisterDeadlineMs: 600_000,
  dependencySettleMs: 3_000,
  stepDeadlineMs: 120_000,
  badPlaceMs: 3_600_000,
  brakeReleasedAt: 0,
};

export interface PlannerResult {
  /** Null: the parent is still right. */
  plan: Plan | null;
  /** Steps of etcd's membership to be recorded as intended, before the plan. */
  memberSteps: EtcdMemberStep[];
  /** Everything that is not done yet, one by one. */
  waits: PlanWait[];
  /** The same by condition, one of each type that the planner owns: HostsReady, PlanBlocked, Brake, True or False. */
  conditions: ConditionInput[];
  /** When to look again if nothing happens until then; null = no need. */
  nextLookAt: number | null;
}
