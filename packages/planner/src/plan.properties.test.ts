import { isEtcdCallPending } from '@rancher/domain';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { backoffMs, remembered } from './backoff.ts';
import { Lab, servicesOfScale } from './fixtures.ts';
import { makePlan } from './plan.ts';
import { quorumOf } from './quorum.ts';
import type { PlannerResult } from './types.ts';

/** Something that happens to the world, aimed at a host and a service by number. */
type Blow = {
  kind:
    | 'exit'
    | 'sicken'
    | 'lose'
    | 'return'
    | 'remove'
    | 'spec'
    | 'grow'
    | 'shrink'
    | 'call'
    | 'recover'
    | 'wait';
  host: number;
  service: number;
};

const blow = fc.record({
  kind: fc.constantFrom<Blow['kind']>(
    'exit',
    'sicken',
    'lose',
    'return',
    'remove',
    'spec',
    'grow',
    'shrink',
    'call',
    'recover',
    'wait',
  ),
  host: fc.nat(5),
  service: fc.nat(4),
});

const scene = fc.record({
  hosts: fc.integer({ min: 1, max: 6 }),
  etcd: fc.constantFrom(1, 3, 5),
  controlPlane: fc.constantFrom(1, 2, 3),
  blows: fc.array(blow, { maxLength: 12 }),
  /** Whether the world has settled before each of the blows. */
  settles: fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }),
});

function strike(lab: Lab, { kind, host, service }: Blow): void {
  const number = (host % lab.hosts.length) + 1;
  const name = lab.services[service % lab.services.length]!.name;
  const at = lab.hosts[number - 1]!;
  const runs = lab.parent?.instances.some(
    (i) => i.service === name && i.hostId === at.id && lab.observed.get(i.id)?.state === 'running',
  );
  if (kind === 'exit' && runs) lab.exit(name, number);
  if (kind === 'sicken' && runs) lab.sicken(name, number);
  if (kind === 'lose' && at.desiredState === 'active') lab.lose(number);
  if (kind === 'return' && at.desiredState === 'active')
    lab.change(number, { state: 'active', lastSeenMs: lab.now });
  if (kind === 'remove') lab.change(number, { desiredState: 'removed' });
  if (kind === 'spec') lab.specs = { ...lab.specs, [name]: (lab.specs[name] ?? 0) + 1 };
  if (kind === 'grow') lab.services = servicesOfScale(3, 3);
  if (kind === 'shrink') lab.services = servicesOfScale(1, 1);
  if (kind === 'call') lab.callEtcd();
  if (kind === 'recover') recover(lab, number);
  if (kind === 'wait') lab.now += 3_700_000;
}

/** As the server does it: only where quorum is lost, from a member that votes and answers. */
function recover(lab: Lab, number: number): void {
  const voters = lab.members.filter((m) => m.voting);
  const able = voters.filter((m) => lab.answers(m.hostId));
  const own = able.find((m) => m.hostId === `host_${number}`);
  if (own !== undefined && able.length < quorumOf(voters.length)) lab.recover(number);
}

/** Plays a scene, and looks at each plan with the world that it was made for. */
function play(
  { hosts, etcd, controlPlane, blows, settles }: Scene,
  look: (lab: Lab, result: PlannerResult) => void,
): Lab {
  const lab = new Lab(hosts, servicesOfScale(etcd, controlPlane));
  const step = () => {
    const result = makePlan(lab.input());
    look(lab, result);
    lab.take(result);
  };
  step();
  lab.bootstrapped = true;
  for (const [i, b] of blows.entries()) {
    if (settles[i]) lab.settle();
    lab.now += 1000;
    strike(lab, b);
    step();
  }
  return lab;
}
type Scene = typeof scene extends fc.Arbitrary<infer T> ? T : never;

/** The same after quorum was lost, with two of three members, and etcd recovered. */
function recovered(s: Scene): Scene {
  const blows: Blow[] = [
    { kind: 'lose', host: 1, service: 0 },
    { kind: 'lose', host: 2, service: 0 },
    { kind: 'recover', host: 0, service: 0 },
    ...s.blows,
  ];
  return { ...s, hosts: Math.max(3, s.hosts), etcd: 3, blows, settles: [true, true, true, ...s.settles] };
}

const check = (look: (lab: Lab, result: PlannerResult) => void) =>
  fc.assert(
    fc.property(scene, (s) => void play(s, look)),
    { numRuns: 300 },
  );

describe('whatever happens', () => {
  it('dependencies point at instances of the same plan and host, earlier in it', () => {
    check((_lab, { plan }) => {
      for (const [i, instance] of (plan?.instances ?? []).entries()) {
        for (const id of instance.after) {
          const found = plan!.instances.slice(0, i).find((p) => p.id === id);
          expect(found?.hostId).toBe(instance.hostId);
        }
      }
    });
  });

  it('at most one step of etcd is taken at once, calls included, unless it is begun or has lost quorum', () => {
    check((lab, { plan, memberSteps }) => {
      if (lab.members.length === 0) return;
      const changes = (plan?.actions ?? []).filter((a) => a.service === 'etcd');
      // The process of a member that etcd has let go, or has just taken in, only follows what was done.
      const follows = (a: { kind: string; hostId: string }) =>
        a.kind === 'create' || !lab.members.some((m) => m.hostId === a.hostId);
      const steps = changes.filter((a) => !follows(a));
      const pending = lab.members.filter(isEtcdCallPending).length;
      const voters = lab.members.filter((m) => m.voting);
      const healthy = voters.filter((m) => lab.answers(m.hostId)).length;
      if (healthy >= quorumOf(voters.length)) {
        expect(steps.length + memberSteps.length).toBeLessThanOrEqual(1);
        if (pending > 0) expect(memberSteps).toEqual([]);
        return;
      }
      expect(memberSteps).toEqual([]);
      if (steps.length <= 1) return;
      for (const s of steps) {
        expect(s.kind).toBe('replace');
        expect([undefined, 'exited']).toContain(lab.observed.get(s.replaces!)?.state);
      }
    });
  });

  it('no step of ours takes etcd from quorum to none, even if it is done at once', () => {
    check((lab, { plan, memberSteps }) => {
      const voters = lab.members.filter((m) => m.voting);
      const answers = (hostId: string) => lab.answers(hostId);
      if (voters.filter((m) => answers(m.hostId)).length < quorumOf(voters.length)) return;
      const stopped = (plan?.actions ?? [])
        .filter((a) => a.service === 'etcd' && a.kind !== 'create')
        .map((a) => a.hostId)
        .filter((hostId) => voters.some((m) => m.hostId === hostId));
      const removed = memberSteps.filter((s) => s.kind === 'remove').map((s) => s.hostId);
      const promoted = memberSteps.filter((s) => s.kind === 'promote').map((s) => s.hostId);
      const after = [...voters.map((m) => m.hostId).filter((id) => !removed.includes(id)), ...promoted];
      const left = after.filter((id) => answers(id) && !stopped.includes(id));
      // A single member has none to stand in for it while it is restarted; nothing else may take its answer away.
      const alone = after.length === 1 && stopped.length === 1;
      if (!alone && after.length > 0) expect(left.length).toBeGreaterThanOrEqual(quorumOf(after.length));
      expect(after.length).toBeGreaterThan(0);
    });
  });

  it('etcd keeps a member once it had one, and a process is taken away only from who is no member', () => {
    check((lab, { plan, memberSteps }) => {
      if (lab.members.length === 0) return;
      const left = lab.members.filter((m) => m.voting).length;
      expect(left - memberSteps.filter((s) => s.kind === 'remove').length).toBeGreaterThanOrEqual(1 - left);
      for (const a of plan?.actions ?? []) {
        if (a.service !== 'etcd' || a.kind !== 'remove') continue;
        expect(lab.members.map((m) => m.hostId)).not.toContain(a.hostId);
      }
    });
  });

  it('etcd has as many members as are wanted in the end, if the hosts are there', () => {
    fc.assert(
      fc.property(scene, (s) => {
        const lab = play(s, () => undefined);
        lab.hosts = lab.hosts.map((h) => ({
          ...h,
          desiredState: 'active',
          state: 'active',
          lastSeenMs: lab.now,
        }));
        lab.converge();
        const wanted = lab.services.find((x) => x.name === 'etcd')!.scale!;
        const possible = Math.min(wanted, lab.hosts.length);
        const voters = lab.members.filter((m) => m.state === 'voter').length;
        expect(voters).toBe(lab.members.length);
        expect([possible, possible - ((possible + 1) % 2)]).toContain(voters);
      }),
      { numRuns: 300 },
    );
  });

  it('etcd begins anew where a member says so, once for each such member, and nothing joins it before', () => {
    let begun: string[] = [];
    const look = (lab: Lab, { plan, memberSteps }: PlannerResult) => {
      const anew = (plan?.actions ?? []).filter((a) => a.reason.startsWith('etcd is recovered from what'));
      const [member] = lab.members;
      const planned = lab.parent?.instances.find((i) => i.service === 'etcd' && i.hostId === member?.hostId);
      const due =
        lab.members.length === 1 && member?.recoveredFrom != null && planned?.memberId !== member.id;
      if (!due) return expect(anew).toEqual([]);
      expect(memberSteps).toEqual([]);
      for (const { kind, hostId, service } of anew) {
        const { state } = lab.hosts.find((h) => h.id === hostId)!;
        if (service === 'etcd') begun.push(`${lab.parent?.id} ${member.id}`);
        expect([kind, state === 'active']).toEqual(
          service === 'etcd' ? ['replace', true] : ['remove', false],
        );
      }
    };
    fc.assert(
      fc.property(scene, (s) => {
        begun = [];
        play(recovered(s), look);
        expect(begun.length).toBeGreaterThan(0);
        expect(new Set(begun).size).toBe(begun.length);
      }),
      { numRuns: 300 },
    );
  });

  it('every action has a reason, every wait a reason, a message, a deadline and a next look', () => {
    check((lab, { plan, waits, nextLookAt }) => {
      for (const a of plan?.actions ?? []) expect(a.reason).toMatch(/\w+ \w+/);
      for (const w of waits) {
        expect(w.condition.reason).toMatch(/^[A-Z]\w+$/);
        expect(w.condition.message.length).toBeGreaterThan(10);
        expect(w.condition.deadline).toBeDefined();
        expect(w.nextLookAt).toBeGreaterThan(lab.now);
        expect(nextLookAt).toBeLessThanOrEqual(w.nextLookAt);
      }
    });
  });

  it('a removed host runs nothing, but for etcd while quorum needs it', () => {
    check((lab, { plan }) => {
      const removed = lab.hosts.filter((h) => h.desiredState === 'removed').map((h) => h.id);
      const left = (plan ?? lab.parent)?.instances.filter((i) => removed.includes(i.hostId)) ?? [];
      expect(left.filter((i) => i.service !== 'etcd')).toEqual([]);
    });
  });

  it('nothing bound to a lost host is touched', () => {
    check((lab, { plan }) => {
      const lost = lab.hosts
        .filter((h) => h.state !== 'active' && h.desiredState === 'active')
        .map((h) => h.id);
      const touched = plan?.actions.filter((a) => lost.includes(a.hostId)) ?? [];
      // Removals remain: of etcd's dead member, of a service that shrinks or that moves away.
      for (const a of touched) expect(a.kind).toBe('remove');
      for (const a of touched) expect(['containerd', 'kubelet']).not.toContain(a.service);
    });
  });

  it('while the brake is on, nothing moves', () => {
    check((lab, { plan, conditions }) => {
      if (conditions.find((c) => c.type === 'Brake')?.status !== 'True') return;
      const lost = new Set(lab.hosts.filter((h) => h.state !== 'active').map((h) => h.id));
      const moved =
        plan?.actions.filter((a) => a.kind === 'remove' && lost.has(a.hostId) && a.service !== 'etcd') ?? [];
      expect(moved.filter((a) => a.reason.includes('is lost'))).toEqual([]);
    });
  });

  it('does not depend on the order of its input', () => {
    check((lab, result) => {
      const input = lab.input();
      const turned = {
        ...input,
        services: input.services.toReversed(),
        hosts: input.hosts.toReversed(),
        observed: input.observed.toReversed(),
        parent: input.parent && { ...input.parent, instances: input.parent.instances.toReversed() },
      };
      expect(makePlan(turned)).toEqual(result);
    });
  });

  it('comes to rest: with the plan carried out and all healthy, the next is null', () => {
    fc.assert(
      fc.property(scene, (s) => {
        const lab = play(s, () => undefined).converge();
        expect(makePlan(lab.input()).plan).toBeNull();
      }),
      { numRuns: 300 },
    );
  });
});

describe('the backoff', () => {
  it('never gets shorter with more failures, nor longer than a minute', () => {
    fc.assert(
      fc.property(fc.nat(1000), (n) => {
        expect(backoffMs(n)).toBeLessThanOrEqual(backoffMs(n + 1));
        expect(backoffMs(n)).toBeLessThanOrEqual(60_000);
      }),
    );
  });

  it('counts failures in a row, and starts anew after five healthy minutes', () => {
    fc.assert(
      fc.property(fc.nat(100), fc.nat(900_000), (count, healthyForMs) => {
        const before = { count, lastAt: 0, lastReason: '' };
        const next = remembered(before, { at: 1, reason: 'r', healthyForMs });
        expect(next.count).toBe(healthyForMs >= 300_000 ? 1 : count + 1);
      }),
    );
  });
});
