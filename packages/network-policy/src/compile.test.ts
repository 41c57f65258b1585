/**
 * The cases of Kubernetes' own end-to-end tests of NetworkPolicy (test/e2e/network/netpol), each as a table of who reaches
 * whom among three namespaces of three pods, on two hosts. The naive reading of the API must agree with each.
 */
import { describe, expect, test } from 'vitest';
import type { PolicyObject } from './objects.ts';
import { addressOf, type End, isAllowed, type World } from './testing/evaluate.ts';
import { hostOf } from './testing/hosts.ts';
import { labelled, namespace, pod, policy } from './testing/objects.ts';
import { passes } from './testing/simulate.ts';

const namespaces = ['x', 'y', 'z'].map((name) => namespace(name, { ns: name }));
const serving = [
  { name: 'serve-80-tcp', containerPort: 80 },
  { name: 'serve-81-tcp', containerPort: 81 },
  { name: 'serve-80-udp', containerPort: 80, protocol: 'UDP' },
  { name: 'serve-80-sctp', containerPort: 80, protocol: 'SCTP' },
];
const pods = ['x', 'y', 'z'].flatMap((ns, i) =>
  ['a', 'b', 'c'].map((name, j) =>
    pod(`${ns}/${name}`, `10.42.${j % 2}.${10 * i + j + 2}`, {
      labels: { pod: name },
      node: `host-${(j % 2) + 1}`,
      ports: serving,
    }),
  ),
);
const outside = '192.168.7.7';
const ends: Record<string, End> = Object.fromEntries([
  ...pods.map((p) => [`${p.metadata.namespace}/${p.metadata.name}`, { pod: p }]),
  ['outside', { address: outside }],
]);

type Protocol = 'TCP' | 'UDP' | 'SCTP';

/** Those that reach `to`, in the world's order. */
function reaching(policies: PolicyObject[], to: string, port = 80, protocol: Protocol = 'TCP'): string[] {
  return Object.keys(ends).filter((from) => allowed(policies, from, to, port, protocol));
}

function reached(policies: PolicyObject[], from: string, port = 80, protocol: Protocol = 'TCP'): string[] {
  return Object.keys(ends).filter((to) => allowed(policies, from, to, port, protocol));
}

/** By both hosts' rulesets; and the naive reading says the same. */
function allowed(
  policies: PolicyObject[],
  from: string,
  to: string,
  port: number,
  protocol: Protocol,
): boolean {
  const world: World = { policies, pods, namespaces };
  const connection = { from: ends[from]!, to: ends[to]!, protocol, port };
  const flow = { from: addressOf(connection.from), to: addressOf(connection.to), protocol, port };
  const simulated = ['host-1', 'host-2'].every((node) => passes(hostOf(world, node).ruleset(), flow));
  expect(simulated, `${from} → ${to} ${protocol} ${port}`).toBe(isAllowed(world, connection));
  return simulated;
}

const all = Object.keys(ends);
const inX = ['x/a', 'x/b', 'x/c'];

describe('isolation', () => {
  test('without a policy everybody reaches everybody', () => {
    expect(reaching([], 'x/a')).toEqual(all);
  });
  test('default-deny of ingress: only a pod itself, and only in its namespace', () => {
    const deny = [policy('x/deny', { policyTypes: ['Ingress'] })];
    expect(reaching(deny, 'x/a')).toEqual(['x/a']);
    expect(reaching(deny, 'y/a')).toEqual(all);
    expect(reached(deny, 'x/a')).toEqual(['x/a', ...all.filter((e) => !e.startsWith('x/'))]);
  });
  test('default-deny of egress leaves ingress open', () => {
    const deny = [policy('x/deny', { policyTypes: ['Egress'] })];
    expect(reached(deny, 'x/a')).toEqual(['x/a']);
    expect(reaching(deny, 'x/a')).toEqual(['x/a', ...all.filter((e) => !e.startsWith('x/'))]);
  });
  test('default-deny of both', () => {
    const deny = [policy('x/deny', { policyTypes: ['Ingress', 'Egress'] })];
    expect(reached(deny, 'x/a')).toEqual(['x/a']);
    expect(reaching(deny, 'x/a')).toEqual(['x/a']);
  });
  test('allow-all beside default-deny: a union', () => {
    const both = [policy('x/deny', { policyTypes: ['Ingress'] }), policy('x/allow', { ingress: [{}] })];
    expect(reaching(both, 'x/a')).toEqual(all);
    expect(reaching(both, 'x/a', 81, 'UDP')).toEqual(all);
  });
  test('of pods by label alone', () => {
    const deny = [policy('x/deny-a', { podSelector: labelled({ pod: 'a' }) })];
    expect(reaching(deny, 'x/a')).toEqual(['x/a']);
    expect(reaching(deny, 'x/b')).toEqual(all);
  });
  test('egress allowed by the client is still denied by the server, and the other way round', () => {
    const out = policy('x/out', { policyTypes: ['Egress'], egress: [{}] });
    expect(reached([out, policy('y/deny', {})], 'x/a')).toEqual(all.filter((e) => !e.startsWith('y/')));
    const into = policy('y/in', { ingress: [{}] });
    expect(reaching([into, policy('x/deny', { policyTypes: ['Egress'] })], 'y/a')).toEqual(
      all.filter((e) => !e.startsWith('x/')),
    );
  });
});

describe('peers', () => {
  test('pods of the same namespace by label', () => {
    const from = [{ podSelector: labelled({ pod: 'b' }) }];
    expect(reaching([policy('x/p', { ingress: [{ from }] })], 'x/a')).toEqual(['x/a', 'x/b']);
  });
  test('an empty pod selector: the whole own namespace', () => {
    expect(reaching([policy('x/p', { ingress: [{ from: [{ podSelector: {} }] }] })], 'x/a')).toEqual(inX);
  });
  test('namespaces by label', () => {
    const from = [{ namespaceSelector: labelled({ ns: 'y' }) }];
    expect(reaching([policy('x/p', { ingress: [{ from }] })], 'x/a')).toEqual(['x/a', 'y/a', 'y/b', 'y/c']);
  });
  test('namespace and pod selector in one peer: both must hold', () => {
    const from = [{ namespaceSelector: labelled({ ns: 'y' }), podSelector: labelled({ pod: 'b' }) }];
    expect(reaching([policy('x/p', { ingress: [{ from }] })], 'x/a')).toEqual(['x/a', 'y/b']);
  });
  test('namespace and pod selector in two peers: one must hold', () => {
    const from = [{ namespaceSelector: labelled({ ns: 'y' }) }, { podSelector: labelled({ pod: 'b' }) }];
    expect(reaching([policy('x/p', { ingress: [{ from }] })], 'x/a')).toEqual([
      'x/a',
      'x/b',
      'y/a',
      'y/b',
      'y/c',
    ]);
  });
  test('an empty namespace selector: all pods, but nobody outside', () => {
    const from = [{ namespaceSelector: {} }];
    expect(reaching([policy('x/p', { ingress: [{ from }] })], 'x/a')).toEqual(
      all.filter((e) => e !== 'outside'),
    );
  });
  test.each([
    ['In', { key: 'ns', operator: 'In', values: ['x', 'y'] }, ['x', 'y']],
    ['NotIn', { key: 'ns', operator: 'NotIn', values: ['x'] }, ['y', 'z']],
    ['Exists', { key: 'ns', operator: 'Exists' }, ['x', 'y', 'z']],
    ['DoesNotExist', { key: 'ns', operator: 'DoesNotExist' }, []],
    ['NotIn of a key that nobody has', { key: 'none', operator: 'NotIn', values: ['x'] }, ['x', 'y', 'z']],
  ])('matchExpressions: %s', (_, expression, expected) => {
    const from = [
      { namespaceSelector: { matchExpressions: [expression] }, podSelector: labelled({ pod: 'b' }) },
    ];
    expect(reaching([policy('x/p', { ingress: [{ from }] })], 'x/a')).toEqual([
      'x/a',
      ...expected.map((ns) => `${ns}/b`),
    ]);
  });
  test('egress to pods of another namespace', () => {
    const to = [{ namespaceSelector: labelled({ ns: 'y' }), podSelector: labelled({ pod: 'a' }) }];
    expect(reached([policy('x/p', { policyTypes: ['Egress'], egress: [{ to }] })], 'x/a')).toEqual([
      'x/a',
      'y/a',
    ]);
  });
  test('ipBlock, with and without except; an except of one rule is open by another', () => {
    const block = (except: string[]) => [{ ipBlock: { cidr: '10.42.0.0/24', except } }];
    const onHost1 = all.filter((e) => ['a', 'c'].includes(e.at(-1)!));
    expect(reaching([policy('x/p', { ingress: [{ from: block([]) }] })], 'x/a')).toEqual(onHost1);
    const exceptYA = block(['10.42.0.12/32', '10.42.0.14/32']);
    expect(reaching([policy('x/p', { ingress: [{ from: exceptYA }] })], 'x/a')).toEqual(
      onHost1.filter((e) => e !== 'y/a' && e !== 'y/c'),
    );
    const again = [{ from: exceptYA }, { from: [{ ipBlock: { cidr: '10.42.0.12/32' } }] }];
    expect(reaching([policy('x/p', { ingress: again })], 'x/a')).toEqual(onHost1.filter((e) => e !== 'y/c'));
    const everywhere = [{ ipBlock: { cidr: '0.0.0.0/0' } }];
    expect(reaching([policy('x/p', { ingress: [{ from: everywhere }] })], 'x/a')).toEqual(all);
    expect(reached([policy('x/p', { policyTypes: ['Egress'], egress: [{ to: block([]) }] })], 'x/a')).toEqual(
      onHost1,
    );
  });
  test('a rule with an empty list of peers lets everybody in', () => {
    expect(reaching([policy('x/p', { ingress: [{ from: [] }] })], 'x/a')).toEqual(all);
  });
});

describe('ports', () => {
  const ingress = (...ports: object[]) => [policy('x/p', { ingress: [{ ports }] })];
  const others = all.filter((e) => e !== 'x/a');
  test.each([
    ['a number', ingress({ port: 81 }), 81, 'TCP', true],
    ['another number', ingress({ port: 81 }), 80, 'TCP', false],
    ['TCP is not UDP', ingress({ port: 80, protocol: 'UDP' }), 80, 'TCP', false],
    ['UDP', ingress({ port: 80, protocol: 'UDP' }), 80, 'UDP', true],
    ['SCTP', ingress({ port: 80, protocol: 'SCTP' }), 80, 'SCTP', true],
    ['SCTP is not TCP', ingress({ port: 80, protocol: 'SCTP' }), 80, 'TCP', false],
    ['a protocol alone', ingress({ protocol: 'UDP' }), 12345, 'UDP', true],
    ['a name', ingress({ port: 'serve-81-tcp' }), 81, 'TCP', true],
    ['a name of another port', ingress({ port: 'serve-81-tcp' }), 80, 'TCP', false],
    ['a name of another protocol', ingress({ port: 'serve-80-udp' }), 80, 'UDP', false],
    ['a name with its protocol', ingress({ port: 'serve-80-udp', protocol: 'UDP' }), 80, 'UDP', true],
    ['a name that nobody has', ingress({ port: 'nobody' }), 80, 'TCP', false],
    ['the end of a range', ingress({ port: 79, endPort: 81 }), 81, 'TCP', true],
    ['beyond a range', ingress({ port: 79, endPort: 80 }), 81, 'TCP', false],
    ['several', ingress({ port: 443 }, { port: 80 }), 80, 'TCP', true],
  ] as const)('ingress by %s', (_, policies, port, protocol, expected) => {
    expect(reaching(policies, 'x/a', port, protocol)).toEqual(expected ? all : ['x/a']);
    expect(others.length).toBeGreaterThan(0);
  });
  test('egress by name: the port that each peer gives it; nobody outside has one', () => {
    const egress = [{ ports: [{ port: 'serve-81-tcp' }] }];
    const policies = [policy('x/p', { policyTypes: ['Egress'], egress })];
    expect(reached(policies, 'x/a', 81)).toEqual(all.filter((e) => e !== 'outside'));
    expect(reached(policies, 'x/a', 80)).toEqual(['x/a']);
  });
  test('egress by name to some pods and a block', () => {
    const to = [{ podSelector: labelled({ pod: 'b' }) }, { ipBlock: { cidr: '0.0.0.0/0' } }];
    const egress = [{ to, ports: [{ port: 'serve-80-tcp' }, { port: 8080 }] }];
    const policies = [policy('x/p', { policyTypes: ['Egress'], egress })];
    expect(reached(policies, 'x/a', 80)).toEqual(all.filter((e) => e !== 'outside'));
    expect(reached(policies, 'x/a', 8080)).toEqual(all);
  });
  test('peers and ports must both hold, rules and policies are a union', () => {
    const a = policy('x/a', {
      ingress: [{ from: [{ podSelector: labelled({ pod: 'b' }) }], ports: [{ port: 80 }] }],
    });
    const b = policy('x/b', {
      ingress: [{ from: [{ namespaceSelector: labelled({ ns: 'y' }) }], ports: [{ port: 81 }] }],
    });
    expect(reaching([a, b], 'x/a', 80)).toEqual(['x/a', 'x/b']);
    expect(reaching([a, b], 'x/a', 81)).toEqual(['x/a', 'y/a', 'y/b', 'y/c']);
  });
});
