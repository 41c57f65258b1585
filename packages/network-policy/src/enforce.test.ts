/** Real nftables in a namespace of the test, real connections between pods on one host. Needs root. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { HostPolicies } from './host-policies.ts';
import { hostNft } from './nft.ts';
import { namespaceOf, type PolicyObject, podOf, policyOf } from './objects.ts';
import { closeScripts } from './script.ts';
import { createLab, type Endpoint, type Lab } from './testing/lab.ts';
import { labelled, namespace, pod, policy } from './testing/objects.ts';
import { RuleWriter } from './writer.ts';

const hostAddress = '172.30.0.1';
const dnsAddress = '192.0.0.53';
const dnsService = '10.43.0.10';
const [a, b, c] = ['10.42.0.2', '10.42.0.3', '10.42.0.4'] as const;
const serviceOfB = '10.43.0.99';
const listen = ['TCP/80', 'TCP/81', 'TCP/8085', 'UDP/80'];
const ports = [{ name: 'web', containerPort: 80 }];
/** Long enough for an answer on this machine, as each positive test shows; silence lasts longer. */
const silence = 400;

const dns = {
  pod: {
    uid: 'dns',
    namespace: 'kube-system',
    name: 'kube-dns',
    labels: { 'k8s-app': 'kube-dns' },
    addresses: [dnsAddress],
    ports: [],
    node: 'host-1',
  },
  serviceAddress: dnsService,
};

let lab: Lab;
let podA: Endpoint;
let podB: Endpoint;
let podC: Endpoint;
let host: HostPolicies;
let writer: RuleWriter;
let inForce: PolicyObject[] = [];
const complaints: string[] = [];

beforeAll(async () => {
  lab = await createLab([hostAddress, dnsAddress], 'TCP/10250', `UDP/53/${dnsAddress}`);
  [podA, podB, podC] = await Promise.all([
    lab.pod('a', a, ...listen),
    lab.pod('b', b, ...listen),
    lab.pod('c', c, ...listen),
  ]);
  // As kube-proxy has it: a Service's address becomes a pod's, or for DNS the host's own.
  await lab.onHost('nft', 'add table ip services');
  await lab.onHost('nft', 'add chain ip services prerouting { type nat hook prerouting priority dstnat; }');
  await lab.onHost('nft', `add rule ip services prerouting ip daddr ${serviceOfB} dnat to ${b}`);
  await lab.onHost('nft', `add rule ip services prerouting ip daddr ${dnsService} dnat to ${dnsAddress}`);
  await lab.onHost('nft', 'add chain ip services postrouting { type nat hook postrouting priority srcnat; }');
  await lab.onHost('nft', `add rule ip services postrouting ip saddr ${b} ip daddr ${b} masquerade`);
  host = new HostPolicies('host-1', [dns]);
  for (const name of ['x', 'y', 'kube-system']) host.setNamespace(namespaceOf(namespace(name, { ns: name })));
  host.setPod(podOf(pod('x/a', a, { labels: { app: 'a' }, ports }))!);
  host.setPod(podOf(pod('x/b', b, { labels: { app: 'b' }, ports }))!);
  host.setPod(podOf(pod('y/c', c, { labels: { app: 'c' }, ports }))!);
  writer = new RuleWriter({
    nft: hostNft(lab.enter),
    surroundings: { judged: [dnsAddress] },
    ruleset: () => host.ruleset(),
    onError: (message) => complaints.push(message),
  });
  await writer.flush();
});

afterAll(async () => {
  writer?.stop();
  await lab?.close();
});

beforeEach(async () => {
  await enforce();
  expect(complaints).toEqual([]);
});

/** Until the next call these policies hold, and no others. */
async function enforce(...policies: PolicyObject[]): Promise<void> {
  for (const { metadata } of inForce) host.removePolicy(metadata.namespace!, metadata.name);
  for (const each of policies) host.setPolicy(policyOf(each));
  inForce = policies;
  await writer.flush();
}

const from = (...app: string[]) => app.map((each) => ({ podSelector: labelled({ app: each }) }));

describe('ingress', () => {
  test('nothing is isolated without a policy', async () => {
    expect(await podA.ask(b, 80)).toBe('b|::ffff:10.42.0.2');
    expect(await podC.ask(b, 80, 'UDP')).toBe('b|10.42.0.4');
  });

  test('default deny: no pod gets in by TCP or UDP, nor by the Service; the host and the pod itself do', async () => {
    await enforce(policy('x/deny', { podSelector: labelled({ app: 'b' }) }));
    expect(await podA.ask(b, 80, 'TCP', silence)).toBeNull();
    expect(await podC.ask(b, 80, 'UDP', silence)).toBeNull();
    expect(await podA.ask(serviceOfB, 80, 'TCP', silence)).toBeNull();
    expect(await lab.host.ask(b, 80)).toMatch(/^b/);
    expect(await podB.ask(serviceOfB, 80)).toMatch(/^b/);
    expect(await podB.ask(c, 80)).toMatch(/^c/);
    expect(await podA.ask(c, 80)).toMatch(/^c/);
    await enforce();
    expect(await podA.ask(b, 80)).toMatch(/^b/);
  });

  test('by pod selector, number, name, range and protocol; a Service is judged by the pod behind it', async () => {
    await enforce(
      policy('x/in', {
        podSelector: labelled({ app: 'b' }),
        ingress: [
          { from: from('a'), ports: [{ port: 'web' }, { port: 8080, endPort: 8090 }] },
          { from: [{ namespaceSelector: labelled({ ns: 'y' }) }], ports: [{ protocol: 'UDP' }] },
        ],
      }),
    );
    expect(await podA.ask(b, 80)).toMatch(/^b/);
    expect(await podA.ask(b, 8085)).toMatch(/^b/);
    expect(await podA.ask(serviceOfB, 80)).toMatch(/^b/);
    expect(await podC.ask(b, 80, 'UDP')).toMatch(/^b/);
    expect(await podA.ask(b, 81, 'TCP', silence)).toBeNull();
    expect(await podA.ask(b, 80, 'UDP', silence)).toBeNull();
    expect(await podC.ask(b, 80, 'TCP', silence)).toBeNull();
  });

  test('ipBlock with an exception', async () => {
    const block = { cidr: '10.42.0.0/24', except: [`${a}/32`] };
    await enforce(
      policy('x/in', { podSelector: labelled({ app: 'b' }), ingress: [{ from: [{ ipBlock: block }] }] }),
    );
    expect(await podC.ask(b, 80)).toMatch(/^b/);
    expect(await podA.ask(b, 80, 'TCP', silence)).toBeNull();
  });
});

describe('egress', () => {
  const deny = policy('x/deny', { podSelector: labelled({ app: 'a' }), policyTypes: ['Egress'] });

  test('default deny: nothing gets out but to the own host; DNS of the cluster counts as a pod', async () => {
    await enforce(deny);
    expect(await podA.ask(b, 80, 'TCP', silence)).toBeNull();
    expect(await podA.ask(serviceOfB, 80, 'TCP', silence)).toBeNull();
    expect(await podA.ask(dnsService, 53, 'UDP', silence)).toBeNull();
    expect(await podA.ask(hostAddress, 10250)).toMatch(/^host/);
    expect(await podB.ask(a, 80)).toMatch(/^a/);
    expect(await podB.ask(dnsService, 53, 'UDP')).toMatch(/^host/);
  });

  test.each([
    ['the label of kube-dns', [{ namespaceSelector: {}, podSelector: labelled({ 'k8s-app': 'kube-dns' }) }]],
    ['the namespace', [{ namespaceSelector: labelled({ ns: 'kube-system' }) }]],
    ['the block of services', [{ ipBlock: { cidr: '10.43.0.0/16' } }]],
    ['anywhere', undefined],
  ])('DNS allowed by %s, and nothing else is', async (_, to) => {
    const dnsPorts = [{ port: 53, protocol: 'UDP' }];
    const allow = { ...(to ? { to } : {}), ports: dnsPorts };
    await enforce(deny, policy('x/dns', { policyTypes: ['Egress'], egress: [allow] }));
    expect(await podA.ask(dnsService, 53, 'UDP')).toMatch(/^host/);
    expect(await podA.ask(b, 80, 'TCP', silence)).toBeNull();
  });

  test('to a port by the name that the peer gives it, by way of a Service too', async () => {
    const egress = [{ to: from('b'), ports: [{ port: 'web' }] }];
    await enforce(deny, policy('x/web', { policyTypes: ['Egress'], egress }));
    expect(await podA.ask(b, 80)).toMatch(/^b/);
    expect(await podA.ask(serviceOfB, 80)).toMatch(/^b/);
    expect(await podA.ask(b, 81, 'TCP', silence)).toBeNull();
    expect(await podA.ask(c, 80, 'TCP', silence)).toBeNull();
  });
});

describe('change', () => {
  const deny = policy('x/deny', { podSelector: labelled({ app: 'b' }) });

  test('a connection that is no longer allowed is cut in the middle, and goes on when it is again', async () => {
    await podA.hold(b, 80);
    expect(await podA.say()).toMatch(/^b/);
    await enforce(deny);
    expect(await podA.say(silence)).toBeNull();
    await enforce();
    // TCP sends again what was lost.
    expect(await podA.say(60_000)).toMatch(/^b/);
  });

  test('a peer that comes, goes or changes its labels writes elements only', async () => {
    await enforce(policy('x/in', { podSelector: labelled({ app: 'b' }), ingress: [{ from: from('late') }] }));
    const before = await hostNft(lab.enter).fingerprint();
    expect(await podA.ask(b, 80, 'TCP', silence)).toBeNull();
    host.setPod(podOf(pod('x/a', a, { labels: { app: 'late' }, ports }))!);
    await writer.flush();
    expect(await podA.ask(b, 80)).toMatch(/^b/);
    expect(await hostNft(lab.enter).fingerprint()).toBe(before);
    host.setPod(podOf(pod('x/a', a, { labels: { app: 'a' }, ports }))!);
    await writer.flush();
    expect(await podA.ask(b, 80, 'TCP', silence)).toBeNull();
    expect(await hostNft(lab.enter).fingerprint()).toBe(before);
  });

  test('rules are never missing: while all are rewritten, what is denied is never answered, and what is allowed always', async () => {
    const allowC = policy('x/allow', {
      podSelector: labelled({ app: 'b' }),
      ingress: [{ from: [{ namespaceSelector: labelled({ ns: 'y' }) }] }],
    });
    await enforce(deny, allowC);
    let done = false;
    const rewriting = (async () => {
      for (let i = 0; i < 150; i++) {
        await enforce(...(i % 2 === 0 ? [allowC] : [deny, allowC]));
        if (i % 4 === 0) {
          // Another writer knows nothing of the table, so it writes the whole.
          const next = new RuleWriter({
            nft: hostNft(lab.enter),
            surroundings: { judged: [dnsAddress] },
            ruleset: () => host.ruleset(),
            onError: (message) => complaints.push(message),
          });
          await next.flush();
        }
      }
      done = true;
    })();
    const denied: (string | null)[] = [];
    const allowed: (string | null)[] = [];
    while (!done) {
      denied.push(...(await Promise.all([1, 2, 3].map(() => podA.ask(b, 80, 'UDP', 50)))));
      allowed.push(await podC.ask(b, 80));
    }
    await rewriting;
    expect(new Set(denied)).toEqual(new Set([null]));
    expect(allowed.every((answer) => answer?.startsWith('b'))).toBe(true);
    expect(allowed.length).toBeGreaterThan(3);
  });

  test('a table that somebody else removed or changed is noticed and written anew', async () => {
    await enforce(deny);
    await writer.audit();
    await lab.onHost('nft', 'delete table inet rancher-policy');
    expect(await podA.ask(b, 80)).toMatch(/^b/);
    await writer.audit();
    expect(await podA.ask(b, 80, 'TCP', silence)).toBeNull();
    await writer.audit();
    await lab.onHost('nft', 'insert rule inet rancher-policy forward accept');
    await writer.audit();
    expect(await podA.ask(b, 80, 'TCP', silence)).toBeNull();
    expect(complaints.splice(0)).toHaveLength(2);
    await lab.onHost('nft', 'delete table inet rancher-policy');
    await enforce();
    await enforce(deny);
    expect(await podA.ask(b, 80, 'TCP', silence)).toBeNull();
    expect(complaints.splice(0).join()).toMatch(/written anew/);
  });

  test('an address is closed before anything is known of its pod, and opens when it is', async () => {
    const late = '10.42.0.9';
    const podLate = await lab.pod('late', late, 'TCP/80');
    // Its namespace has a policy, of others.
    await enforce(policy('x/other', { podSelector: labelled({ app: 'nobody' }) }));
    const attachment = { id: 'k:eth0', namespace: 'x', name: 'late', uid: 'uid-x/late', addresses: [late] };
    host.attach(attachment);
    await writer.flush();
    expect(host.knows(attachment)).toBe(false);
    expect(await podLate.ask(c, 80, 'TCP', silence)).toBeNull();
    expect(await podA.ask(late, 80, 'TCP', silence)).toBeNull();
    expect(await lab.host.ask(late, 80)).toMatch(/^late/);
    host.setPod({ ...podOf(pod('x/late', late))!, addresses: [] });
    await writer.flush();
    expect(await podLate.ask(c, 80)).toMatch(/^c/);
    expect(await podA.ask(late, 80)).toMatch(/^late/);
    // By a life of the writer that has heard nothing from the cluster yet.
    const nft = hostNft(lab.enter);
    const [known, unknown] = closeScripts(late) as [string, string];
    await expect(nft.run(known)).rejects.toThrow();
    await nft.run(unknown);
    expect(await podA.ask(late, 80, 'TCP', silence)).toBeNull();
    await nft.run(known);
    expect(await podA.ask(late, 80, 'TCP', silence)).toBeNull();
  });
});
