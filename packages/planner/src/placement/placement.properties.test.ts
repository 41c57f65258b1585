import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { host, Lab, labelled, servicesOfScale } from '../fixtures.ts';
import { makePlan } from '../plan.ts';
import type { PlannerResult } from '../types.ts';
import { judge } from './affinity.ts';
import { placeServices } from './place-services.ts';
import { rulesOf, sceneOf } from './scene.ts';

const names = ['etcd', 'kube-apiserver', 'kube-scheduler', 'containerd', 'kubelet'];
const keys = ['etcd', 'orchestration', 'zone', 'disk'];
const label = fc.record({ key: fc.constantFrom(...keys), value: fc.constantFrom('true', 'a', 'b') });
const labelsOf = (labels: { key: string; value: string }[]) =>
  Object.fromEntries(labels.map((l) => [l.key, l.value]));

const hostRule = fc.tuple(
  fc.constantFrom('host_label', 'host_label_ne', 'host_label_soft', 'host_label_soft_ne'),
  label.map((l) => `${l.key}=${l.value}`),
);
const serviceRule = fc.tuple(
  fc.constantFrom('container', 'container_ne', 'container_soft', 'container_soft_ne'),
  fc.constantFrom(...names),
);
const rules = fc
  .array(fc.oneof(hostRule, serviceRule), { maxLength: 2 })
  .map((list) => Object.fromEntries(list.map(([kind, v]) => [`io.rancher.scheduler.affinity:${kind}`, v])));

/**
 * The same scenes each time, as continuous integration must not fail by luck; others are looked for with SCENES_SEED=… and
 * more runs, and what they find becomes a table.
 */
const runs = { seed: Number(process.env.SCENES_SEED ?? 1), numRuns: Number(process.env.SCENES_RUNS ?? 200) };

type Blow = { kind: 'label' | 'rule' | 'planes' | 'exit' | 'lose' | 'return' | 'spec'; host: number };
const scene = fc.record({
  hosts: fc.array(fc.array(label, { maxLength: 3 }), { minLength: 1, maxLength: 5 }),
  etcd: fc.constantFrom(1, 3),
  planes: fc.constantFrom('overlapping' as const, 'isolated' as const),
  /** Of the services but etcd. */
  rules: fc.array(rules, { minLength: 4, maxLength: 4 }),
  blows: fc.array(
    fc.record({
      kind: fc.constantFrom<Blow['kind']>('label', 'rule', 'planes', 'exit', 'lose', 'return', 'spec'),
      host: fc.nat(4),
      service: fc.integer({ min: 1, max: 4 }),
      labels: fc.array(label, { maxLength: 3 }),
      rules,
      settles: fc.boolean(),
    }),
    { maxLength: 8 },
  ),
});
type Scene = typeof scene extends fc.Arbitrary<infer T> ? T : never;

function labOf({ hosts, etcd, planes, rules }: Scene): Lab {
  const services = servicesOfScale(etcd, 2).map((s) => {
    const at = names.indexOf(s.name);
    return at < 1 ? s : labelled(s, rules[at - 1]!);
  });
  const lab = new Lab(
    hosts.map((labels, i) => host(i + 1, { labels: labelsOf(labels) })),
    services,
  );
  lab.planes = planes;
  return lab;
}

function play(s: Scene, look: (lab: Lab, result: PlannerResult) => void): Lab {
  const lab = labOf(s);
  const step = () => {
    const result = makePlan(lab.input());
    look(lab, result);
    lab.take(result);
  };
  step();
  lab.bootstrapped ||= lab.parent !== null;
  for (const blow of s.blows) {
    if (blow.settles) lab.settle();
    lab.now += 1000;
    strike(lab, blow);
    step();
  }
  return lab;
}

function strike(lab: Lab, blow: Scene['blows'][number]): void {
  const number = (blow.host % lab.hosts.length) + 1;
  const name = names[blow.service]!;
  if (blow.kind === 'label') lab.change(number, { labels: labelsOf(blow.labels) });
  if (blow.kind === 'rule') lab.rule(name, blow.rules);
  if (blow.kind === 'planes') lab.planes = lab.planes === 'isolated' ? 'overlapping' : 'isolated';
  if (blow.kind === 'lose') lab.lose(number);
  if (blow.kind === 'return') lab.change(number, { state: 'active', lastSeenMs: lab.now });
  if (blow.kind === 'spec') lab.specs = { ...lab.specs, [name]: (lab.specs[name] ?? 0) + 1 };
  const runs = lab.parent?.instances.find((i) => i.service === name && i.hostId === `host_${number}`);
  if (blow.kind === 'exit' && runs && lab.observed.get(runs.id)?.state === 'running') lab.exit(name, number);
}

const check = (look: (lab: Lab, result: PlannerResult) => void) =>
  fc.assert(
    fc.property(scene, (s) => void play(s, look)),
    runs,
  );

/** Its rules against all that the same plan puts on the host. */
function broken(lab: Lab, service: string, hostId: string): string[] {
  const world = sceneOf(lab.input());
  world.placed = placeServices(lab.input());
  const own = lab.services.find((s) => s.name === service)!;
  return judge(world, own, lab.hosts.find((h) => h.id === hostId)!).refusals;
}

describe('whatever the rules and labels are', () => {
  it('nothing is put where a hard rule forbids it', () => {
    check((lab, { plan, memberSteps }) => {
      const created = (plan?.actions ?? []).filter((a) => a.kind === 'create' && a.service !== 'etcd');
      // etcd is put where a member is taken in; the process follows, whatever has become of the rules since.
      const joined = memberSteps.filter((m) => m.kind === 'found' || m.kind === 'add');
      for (const a of [...created, ...joined.map(({ hostId }) => ({ service: 'etcd', hostId }))])
        expect(broken(lab, a.service, a.hostId)).toEqual([]);
    });
  });

  it('nothing leaves a host for the labels’ sake but for a hard rule, or for failing there', () => {
    check((lab, { plan, memberSteps }) => {
      const connected = (id: string) => lab.hosts.find((h) => h.id === id)?.state === 'active';
      const removals = (plan?.actions ?? []).filter((a) => a.kind === 'remove' && a.service !== 'etcd');
      // etcd leaves where a member is let go; the process follows, whatever has become of the rules since.
      const letGo = memberSteps.filter((m) => m.kind === 'remove').map((m) => ({ ...m, service: 'etcd' }));
      for (const a of [...removals, ...letGo].filter((a) => connected(a.hostId))) {
        const { scale } = lab.services.find((s) => s.name === a.service)!;
        const had =
          a.service === 'etcd'
            ? lab.members.length
            : lab.parent!.instances.filter((i) => i.service === a.service).length;
        if (scale !== null && had > scale) continue;
        expect(broken(lab, a.service, a.hostId).length + Number(a.reason.includes('failed there'))).not.toBe(
          0,
        );
      }
    });
  });

  it('a service is never taken from its last host to nowhere', () => {
    check((lab, { plan }) => {
      if (plan === null) return;
      for (const { name, scale } of lab.services) {
        const before = lab.parent?.instances.filter((i) => i.service === name) ?? [];
        if (scale === null || before.length === 0) continue;
        expect(plan.instances.some((i) => i.service === name)).toBe(true);
      }
    });
  });

  it('a soft rule of host labels is kept wherever a host that keeps it is free', () => {
    check((lab, { plan }) => {
      const input = lab.input();
      const world = sceneOf(input);
      const placed = placeServices(input);
      for (const a of plan?.actions.filter((a) => a.kind === 'create') ?? []) {
        const service = lab.services.find((s) => s.name === a.service)!;
        const own = rulesOf(world, service);
        const { hosts } = placed.get(a.service)!;
        if (service.scale === null || own.length === 0 || own.some((r) => r.kind !== 'host_label')) continue;
        world.placed = placed;
        const of = (id: string) => judge(world, service, lab.hosts.find((h) => h.id === id)!);
        const free = lab.hosts.filter((h) => h.state === 'active' && !hosts.includes(h.id));
        for (const h of free.filter((h) => of(h.id).refusals.length === 0))
          expect(of(h.id).reservations.length).toBeGreaterThanOrEqual(of(a.hostId).reservations.length);
      }
    });
  });

  it('the same world gives the same places, in whatever order it is told', () => {
    check((lab, result) => {
      const input = lab.input();
      const turned = {
        ...input,
        services: input.services.toReversed(),
        hosts: input.hosts.toReversed(),
        observed: input.observed.toReversed(),
      };
      expect(makePlan(turned)).toEqual(result);
    });
  });

  it('it comes to rest in a bounded number of moves, and then keeps every rule of labels that it can', () => {
    fc.assert(
      fc.property(scene, (s) => {
        const lab = play(s, () => undefined);
        for (const h of lab.hosts)
          lab.change(Number(h.id.slice(5)), { state: 'active', lastSeenMs: lab.now });
        const before = lab.parent?.instances.length ?? 0;
        let moves = 0;
        for (let i = 0; i < 200; i += 1) {
          lab.settle();
          const members = JSON.stringify(lab.members);
          const { plan } = lab.plan();
          if (plan === null && JSON.stringify(lab.members) === members) break;
          moves += (plan?.actions ?? []).filter((a) => a.kind !== 'replace').length;
          lab.now += 1000;
        }
        expect(makePlan(lab.input())).toMatchObject({ plan: null, memberSteps: [] });
        expect(moves).toBeLessThanOrEqual(2 * (before + lab.services.length * lab.hosts.length));
        for (const [name, { hosts }] of placeServices(lab.input())) {
          const own = lab.services.find((x) => x.name === name)!;
          // What is against a label rule still stands only for want of another host.
          const against = (id: string) => broken(lab, name, id).filter((b) => /label/.test(b));
          if (hosts.every((id) => against(id).length === 0)) continue;
          expect(own.scale).not.toBeNull();
          for (const h of lab.hosts.filter((h) => !hosts.includes(h.id)))
            expect(broken(lab, name, h.id)).not.toEqual([]);
        }
      }),
      runs,
    );
  });
});
