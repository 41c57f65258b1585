/** Any world, any connection: two hosts' rulesets together do what the plain reading of the API says. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { HostPolicies } from './host-policies.ts';
import type { NamespaceObject, PodObject, PolicyObject } from './objects.ts';
import { namespaceOf, podKey, podOf, policyOf } from './objects.ts';
import { changeScript } from './script.ts';
import { applyScript, dumpOf } from './testing/apply-script.ts';
import { addressOf, type Connection, type End, isAllowed, type World } from './testing/evaluate.ts';
import { hostOf } from './testing/hosts.ts';
import { namespace, pod, policy } from './testing/objects.ts';
import { passes } from './testing/simulate.ts';

const names = ['x', 'y', 'z'];
const labels = fc.dictionary(fc.constantFrom('app', 'tier'), fc.constantFrom('a', 'b', 'c'), { maxKeys: 2 });
const expression = fc.oneof(
  fc.record({
    key: fc.constantFrom('app', 'tier'),
    operator: fc.constantFrom('In', 'NotIn'),
    values: fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { minLength: 1 }),
  }),
  fc.record({ key: fc.constantFrom('app', 'tier'), operator: fc.constantFrom('Exists', 'DoesNotExist') }),
);
const selector = fc.record(
  { matchLabels: labels, matchExpressions: fc.array(expression, { maxLength: 2 }) },
  { requiredKeys: [] },
);
const block = fc.constantFrom(
  { cidr: '10.42.0.0/16' },
  { cidr: '10.42.0.0/24', except: ['10.42.0.2/31', '10.42.0.8/29'] },
  { cidr: '0.0.0.0/0', except: ['10.42.1.0/24', '10.42.1.4/30'] },
  { cidr: '10.42.1.3/32' },
  { cidr: '10.42.0.0/16', except: ['10.42.0.0/16'] },
  { cidr: 'fd00::/8', except: ['fd00::4/126'] },
  { cidr: '::/0' },
);
const peer = fc.oneof(
  fc.record({ podSelector: selector }),
  fc.record({ namespaceSelector: selector }),
  fc.record({ namespaceSelector: selector, podSelector: selector }),
  fc.record({ ipBlock: block }),
);
const protocol = fc.constantFrom('TCP', 'UDP', 'SCTP');
const port = fc.oneof(
  fc.record({ protocol }, { requiredKeys: [] }),
  fc.record({ port: fc.constantFrom(80, 81, 82), protocol }, { requiredKeys: ['port'] }),
  fc.record({ port: fc.constantFrom('web', 'dns'), protocol }, { requiredKeys: ['port'] }),
  fc.constantFrom({ port: 80, endPort: 81 }, { port: 81, endPort: 65535, protocol: 'UDP' }),
);
const list = <T>(each: fc.Arbitrary<T>) => fc.array(each, { maxLength: 3 });
const policySpec = fc.record(
  {
    podSelector: selector,
    policyTypes: fc.constantFrom(['Ingress'], ['Egress'], ['Ingress', 'Egress']),
    ingress: list(fc.record({ from: list(peer), ports: list(port) }, { requiredKeys: [] })),
    egress: list(fc.record({ to: list(peer), ports: list(port) }, { requiredKeys: [] })),
  },
  { requiredKeys: ['podSelector'] },
);
const containerPort = fc.record(
  { name: fc.constantFrom('web', 'dns'), containerPort: fc.constantFrom(80, 81), protocol },
  { requiredKeys: ['name', 'containerPort'] },
);

/** Pod `i` has the same address whatever else it is, so that worlds of one size differ in all but that. */
const podAt = (i: number, v6: boolean): fc.Arbitrary<PodObject> =>
  fc
    .record({
      ns: fc.constantFrom(...names),
      labels,
      ports: fc.uniqueArray(containerPort, { maxLength: 2, selector: (p) => p.name }),
    })
    .map(({ ns, ...rest }) =>
      pod(`${ns}/p${i}`, v6 ? `fd00::${i}` : `10.42.${i % 2}.${i}`, { ...rest, node: `host-${(i % 2) + 1}` }),
    );
const pods = fc.tuple(...Array.from({ length: 9 }, (_, i) => podAt(i, i === 7 || i === 8)));
const namespaces = fc.tuple(...names.map((name) => labels.map((l) => namespace(name, l))));
const policies = fc
  .array(fc.tuple(fc.constantFrom(...names), policySpec), { maxLength: 4 })
  .map((specs) => specs.map(([ns, spec], i) => policy(`${ns}/p${i}`, spec as never)));
const world: fc.Arbitrary<World> = fc.record({ policies, pods, namespaces });

const strangers: End[] = [{ address: '10.42.0.200' }, { address: '8.8.8.8' }, { address: '2001:db8::1' }];

function everyConnection({ pods }: World): Connection[] {
  const ends: End[] = [...pods.map((p) => ({ pod: p })), ...strangers];
  const found: Connection[] = [];
  for (const from of ends)
    for (const to of ends) {
      if (addressOf(from).includes(':') !== addressOf(to).includes(':')) continue;
      for (const [p, n] of [
        ['TCP', 80],
        ['TCP', 81],
        ['UDP', 81],
        ['SCTP', 9],
      ] as const)
        found.push({ from, to, protocol: p, port: n });
    }
  return found;
}

test('the rulesets of both hosts do what the API says', () => {
  fc.assert(
    fc.property(world, (w) => {
      const rulesets = ['host-1', 'host-2'].map((node) => hostOf(w, node).ruleset());
      for (const connection of everyConnection(w)) {
        const flow = { ...connection, from: addressOf(connection.from), to: addressOf(connection.to) };
        const passed = rulesets.every((ruleset) => passes(ruleset, flow));
        if (passed !== isAllowed(w, connection))
          expect.fail(`${flow.from} → ${flow.to} ${flow.protocol} ${flow.port}: ruleset says ${passed}`);
      }
    }),
    { numRuns: 400 },
  );
});

/** Leads a host from one world to another by single changes, as a watch tells them. */
function change(host: HostPolicies, from: World, to: World): void {
  const diff = <T extends { metadata: { name: string; namespace?: string } }>(a: T[], b: T[]) => {
    const keyed = (list: T[]) => new Map(list.map((o) => [`${o.metadata.namespace}/${o.metadata.name}`, o]));
    return [...keyed(a)].filter(([key]) => !keyed(b).has(key)).map(([, object]) => object);
  };
  for (const p of to.pods) host.setPod(podOf(p)!);
  for (const n of to.namespaces) host.setNamespace(namespaceOf(n));
  for (const p of diff<PolicyObject>(from.policies, to.policies))
    host.removePolicy(p.metadata.namespace!, p.metadata.name);
  for (const p of diff<PodObject>(from.pods, to.pods)) host.removePod(podKey(podOf(p)!));
  for (const p of to.policies) host.setPolicy(policyOf(p));
  for (const n of diff<NamespaceObject>(from.namespaces, to.namespaces))
    host.removeNamespace(n.metadata.name);
}

test('change by change a host comes to the same ruleset as from the start', () => {
  fc.assert(
    fc.property(fc.array(world, { minLength: 2, maxLength: 4 }), (worlds) => {
      const host = hostOf(worlds[0]!, 'host-1');
      worlds.slice(1).forEach((next, i) => {
        host.ruleset();
        change(host, worlds[i]!, next);
        expect(dumpOf(host.ruleset())).toEqual(dumpOf(hostOf(next, 'host-1').ruleset()));
      });
    }),
    { numRuns: 100 },
  );
});

test('the script from one ruleset to another leads there, and names nothing that is not there', () => {
  fc.assert(
    fc.property(world, world, (a, b) => {
      const [from, to] = [a, b].map((w) => hostOf(w, 'host-1').ruleset()) as [
        ReturnType<HostPolicies['ruleset']>,
        ReturnType<HostPolicies['ruleset']>,
      ];
      expect(applyScript(dumpOf(from), changeScript(from, to))).toEqual(dumpOf(to));
      expect(changeScript(to, hostOf(b, 'host-1').ruleset())).toBe('');
    }),
    { numRuns: 100 },
  );
});
