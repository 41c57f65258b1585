import {
  contentHash,
  type EtcdMemberStep,
  type Plan,
  type PlaneMode,
  parseScheduling,
  stackLabels,
} from '@rancher/domain';
import { makePlan } from './plan.ts';
import type {
  PlannerHost,
  PlannerInput,
  PlannerInstance,
  PlannerMember,
  PlannerOptions,
  PlannerResult,
  PlannerService,
} from './types.ts';

/** A small system stack with the shape of the real one. */
const stack: PlannerService[] = [
  { id: 'svc_etcd', name: 'etcd', placement: 'etcd', scale: 1, after: [] },
  { id: 'svc_api', name: 'kube-apiserver', placement: 'control-plane', scale: 1, after: ['etcd'] },
  {
    id: 'svc_sched',
    name: 'kube-scheduler',
    placement: 'control-plane',
    scale: 1,
    after: ['kube-apiserver'],
  },
  { id: 'svc_ctrd', name: 'containerd', placement: 'all', scale: null, after: [] },
  {
    id: 'svc_kubelet',
    name: 'kubelet',
    placement: 'all',
    scale: null,
    after: ['containerd', 'kube-apiserver'],
  },
];

export const services = stack.map((service) => labelled(service, {}));

export function servicesOfScale(etcd: number, controlPlane = 1): PlannerService[] {
  const scale = { etcd, 'control-plane': controlPlane, all: null };
  return services.map((s) => ({ ...s, scale: scale[s.placement] }));
}

/** A service with scheduling labels, as its row would have them. */
export function labelled(service: PlannerService, labels: Record<string, string>): PlannerService {
  const own = { stack: 'kubernetes', service: service.name };
  const { rules, global } = parseScheduling(labels, own);
  return {
    ...service,
    rules,
    labels: { ...labels, ...stackLabels(own) },
    scale: global === true ? null : service.scale,
  };
}

export function host(number: number, over: Partial<PlannerHost> = {}): PlannerHost {
  return {
    id: `host_${number}`,
    name: `host-${number}`,
    labels: {},
    state: 'active',
    lastSeenMs: start,
    createdMs: start,
    desiredState: 'active',
    factsKnown: true,
    ...over,
  };
}

export const start = Date.parse('2026-01-01T00:00:00Z');

/**
 * A world to plan for, that does what it is told: a planned instance exists once {@link settle} is called, and is
 * healthy from then on. Tests break it by changing its parts.
 */
export class Lab {
  now = start;
  services: PlannerService[];
  hosts: PlannerHost[];
  parent: Plan | null = null;
  members: PlannerMember[] = [];
  observed = new Map<string, PlannerInstance>();
  desiredState: PlannerInput['environment']['desiredState'] = 'active';
  bootstrapped = false;
  planes: PlaneMode = 'overlapping';
  options: Partial<PlannerOptions> = {};
  /** Per service, what its spec depends on. */
  specs: Record<string, number> = {};
  /** Per service, what may change of its spec while it runs. */
  live: Record<string, number> = {};

  constructor(hosts: number | PlannerHost[] = 1, of: PlannerService[] = services) {
    this.hosts = typeof hosts === 'number' ? Array.from({ length: hosts }, (_, i) => host(i + 1)) : hosts;
    this.services = of;
  }

  input(): PlannerInput {
    return {
      now: this.now,
      environment: {
        id: 'env_1',
        desiredState: this.desiredState,
        generation: 1,
        bootstrapped: this.bootstrapped,
        planes: this.planes,
      },
      services: this.services,
      hosts: this.hosts,
      parent: this.parent,
      members: this.members,
      observed: [...this.observed.values()],
      options: this.options,
      specHash: (service, hostId) =>
        contentHash([
          service,
          hostId,
          this.specs[service] ?? 0,
          ...(service in this.live ? [this.live[service]] : []),
        ]),
      startHash: (service, hostId) => contentHash([service, hostId, this.specs[service] ?? 0]),
    };
  }

  /** Plans once, and takes the plan as the target. */
  plan(): PlannerResult {
    const result = makePlan(this.input());
    this.take(result);
    return result;
  }

  /** Takes a plan as the target, and records the steps of etcd's members that come with it. */
  take({ memberSteps, plan }: PlannerResult): void {
    for (const step of memberSteps) this.intend(step);
    this.parent = plan ?? this.parent;
  }

  /** Records a step of etcd's membership. */
  intend({ kind, memberId: id, hostId }: EtcdMemberStep): void {
    const others = this.members.filter((m) => m.id !== id);
    const voting = this.members.find((m) => m.id === id)?.voting ?? kind === 'found';
    const state = ({ found: 'voter', add: 'adding', promote: 'promoting', remove: 'removing' } as const)[
      kind
    ];
    this.members = [...others, { id, hostId, state, voting, lastError: null }];
  }

  /** Quorum is lost, and a user has etcd begin anew from what the member on a host holds. */
  recover(hostNumber: number): void {
    const before = this.members.find((m) => m.hostId === `host_${hostNumber}`);
    if (before === undefined) throw new Error(`host-${hostNumber} has no member`);
    const id = `${before.id}+`;
    this.members = [
      { ...before, id, state: 'voter', voting: true, lastError: null, recoveredFrom: before.id },
    ];
  }

  /** etcd does what was intended, if most of those that vote answer. */
  callEtcd(): void {
    const voters = this.members.filter((m) => m.voting);
    if (voters.filter((m) => this.answers(m.hostId)).length <= voters.length / 2) return;
    this.members = this.members.flatMap((m): PlannerMember[] => {
      if (m.state === 'adding') return [{ ...m, state: 'learner' }];
      if (m.state === 'promoting' && this.answers(m.hostId)) return [{ ...m, state: 'voter', voting: true }];
      return m.state === 'removing' ? [] : [m];
    });
  }

  /** The member on a host runs and is healthy. */
  answers(hostId: string): boolean {
    const planned = this.parent?.instances.find((i) => i.service === 'etcd' && i.hostId === hostId);
    const seen = planned && this.observed.get(planned.id);
    // What still runs for a member of before answers for the etcd of before.
    if (planned?.memberId !== this.members.find((m) => m.hostId === hostId)?.id) return false;
    const connected = this.hosts.find((h) => h.id === hostId)?.state === 'active';
    return connected && seen?.state === 'running' && seen.health === 'healthy';
  }

  /** Every instance of the target on a connected host runs and is healthy, and nothing else is there. */
  settle(): this {
    const connected = new Set(this.hosts.filter((h) => h.state === 'active').map((h) => h.id));
    const before = this.observed;
    this.observed = new Map();
    for (const { id, service, hostId } of this.parent?.instances ?? []) {
      const seen = before.get(id);
      if (!connected.has(hostId) && seen !== undefined) this.observed.set(id, seen);
      if (!connected.has(hostId)) continue;
      const healthyMs = seen?.healthyMs ?? this.now;
      this.observed.set(id, { ...running, id, service, hostId, startedMs: healthyMs, healthyMs });
    }
    this.callEtcd();
    return this;
  }

  /** Plans and settles until nothing changes. */
  converge(): this {
    for (let i = 0; i < 200; i += 1) {
      this.settle();
      const before = JSON.stringify(this.members);
      if (this.plan().plan === null && JSON.stringify(this.members) === before) {
        this.bootstrapped ||= this.observed.size > 0;
        return this;
      }
      this.now += 1000;
    }
    throw new Error('The plan does not converge');
  }

  one(service: string, hostNumber = 1): PlannerInstance {
    const planned = this.parent?.instances.find(
      (i) => i.service === service && i.hostId === `host_${hostNumber}`,
    );
    const seen = planned && this.observed.get(planned.id);
    if (seen === undefined) throw new Error(`${service} does not run on host-${hostNumber}`);
    return seen;
  }

  exit(
    service: string,
    hostNumber = 1,
    exit: PlannerInstance['exit'] = { code: null, signal: 'SIGKILL' },
  ): void {
    const seen = this.one(service, hostNumber);
    this.observed.set(seen.id, { ...seen, state: 'exited', health: 'unhealthy', exit, exitedMs: this.now });
  }

  sicken(service: string, hostNumber = 1, message = 'GET /healthz timed out 3 times'): void {
    const seen = this.one(service, hostNumber);
    this.observed.set(seen.id, { ...seen, health: 'unhealthy', message });
  }

  change(hostNumber: number, over: Partial<PlannerHost>): void {
    this.hosts = this.hosts.map((h) => (h.id === `host_${hostNumber}` ? { ...h, ...over } : h));
  }

  /** Gives a service scheduling labels. */
  rule(service: string, labels: Record<string, string>): this {
    this.services = this.services.map((s) => (s.name === service ? labelled(s, labels) : s));
    return this;
  }

  /** Hosts of a service by the target, by number. */
  hostsOf(service: string): number[] {
    return (this.parent?.instances ?? [])
      .filter((i) => i.service === service)
      .map((i) => Number(i.hostId.slice('host_'.length)));
  }

  lose(hostNumber: number, at = this.now): void {
    this.change(hostNumber, { state: 'disconnected', lastSeenMs: at });
    for (const seen of this.observed.values()) {
      if (seen.hostId !== `host_${hostNumber}`) continue;
      this.observed.set(seen.id, { ...seen, state: 'unknown', health: 'unknown' });
    }
  }
}

const running: Omit<PlannerInstance, 'id' | 'service' | 'hostId'> = {
  state: 'running',
  health: 'healthy',
  exit: null,
  message: null,
  startedMs: null,
  healthyMs: null,
  exitedMs: null,
};

/** A plan in lines that a reviewer can read. */
export function story(result: PlannerResult): string[] {
  const actions = (result.plan?.actions ?? []).map(
    (a) => `${a.kind} ${a.service} on ${a.hostId}${a.graceMs === 0 ? ' at once' : ''}: ${a.reason}`,
  );
  const waits = result.waits.map((w) => {
    const { type, reason, message, deadline, nextTryAt } = w.condition;
    const next = nextTryAt === undefined ? '' : `, next try ${nextTryAt}`;
    return `wait ${type}/${reason}: ${message} (deadline ${deadline ?? 'none'}${next})`;
  });
  return [...actions, ...waits];
}
