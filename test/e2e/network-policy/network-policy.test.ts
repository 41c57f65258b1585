/**
 * NetworkPolicy as users meet it: real pods on two hosts, policies by kubectl, connections by wget. Protects the promise
 * that what a policy forbids is never answered: not from a pod's first moment, and not while what enforces it is dead.
 */

import { join } from 'node:path';
import { sharedCacheDir } from '@rancher/artifacts';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { busyboxImage, loadBusybox } from '../support/images.ts';
import { createInstallation, type Installation, type Result, run, until } from '../support/installation.ts';

let rancher: Installation;
let hosts: string[];
/** Pods' addresses by `<namespace>/<name>`. */
let addresses: Record<string, string>;

interface PodList {
  items: {
    metadata: { name: string; namespace: string };
    spec: { nodeName: string };
    status: { podIP?: string; containerStatuses?: { ready: boolean }[] };
  }[];
}

beforeAll(async () => {
  rancher = await createInstallation('policy');
  await rancher.must(['up']);
  const [environment] = (await rancher.api('GET', '/v1/environments?name=default')).body.items;
  const added = await rancher.api('POST', `/v1/environments/${environment.id}/hosts`, { kind: 'local' });
  expect(added.status).toBe(202);
  hosts = await until('two Nodes are Ready', async () => {
    const nodes = JSON.parse(await kubectl(['get', 'nodes', '-o', 'json'])) as {
      items: { metadata: { name: string }; status: { conditions: { type: string; status: string }[] } }[];
    };
    const ready = nodes.items.filter((n) =>
      n.status.conditions.some((c) => c.type === 'Ready' && c.status === 'True'),
    );
    return ready.length === 2 && ready.map((n) => n.metadata.name).sort();
  });
  await loadBusybox(rancher);
  await apply(
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop', labels: { team: 'shop' } } },
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'bank', labels: { team: 'bank' } } },
    server('shop', 'web', hosts[0]!),
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web', namespace: 'shop' },
      spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 'http' }] },
    },
    ...hosts.flatMap((host, i) => [server('shop', `client-${i}`, host), server('bank', `teller-${i}`, host)]),
  );
  addresses = await until('all pods are ready', async () => {
    const all = await pods();
    const ready = all.filter((p) => p.status.containerStatuses?.every((c) => c.ready));
    return (
      ready.length === 5 &&
      Object.fromEntries(all.map((p) => [`${p.metadata.namespace}/${p.metadata.name}`, p.status.podIP!]))
    );
  });
});

afterAll(async () => {
  await rancher?.purge();
});

beforeEach(async () => {
  await kubectl(['delete', 'networkpolicy', '--all', '-n', 'shop']);
  await Promise.all(everyClient.map((client) => becomes(client, true)));
});

const everyClient = ['shop/client-0', 'shop/client-1', 'bank/teller-0', 'bank/teller-1'];

/** Kubernetes' own, with the kubeconfig that `up` wrote: this test asks a hundred times. */
function tryKubectl(args: string[], input = ''): Promise<Result> {
  const cache = sharedCacheDir();
  const kubeconfig = join(rancher.home, 'environments/default/kubeconfig');
  const program = join(cache, 'artifacts/kubernetes-1.37.2/kubectl');
  return run(program, ['--kubeconfig', kubeconfig, ...args], { input });
}

async function kubectl(args: string[], input?: string): Promise<string> {
  const { code, stdout, stderr } = await tryKubectl(args, input);
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
  return stdout;
}

async function apply(...items: object[]): Promise<void> {
  await kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
}

async function pods(): Promise<PodList['items']> {
  const lists = await Promise.all(
    ['shop', 'bank'].map((n) => kubectl(['get', 'pods', '-n', n, '-o', 'json'])),
  );
  return lists.flatMap((text) => (JSON.parse(text) as PodList).items);
}

/** Serves its name on 8080, named `http`, and on 8081. */
function server(namespace: string, name: string, nodeName: string, command = ''): object {
  const serve = `mkdir -p /tmp/www; hostname >/tmp/www/index.html; httpd -p 8081 -h /tmp/www; ${command} exec httpd -f -p 8080 -h /tmp/www`;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels: { app: name } },
    spec: {
      nodeName,
      terminationGracePeriodSeconds: 1,
      containers: [
        {
          name: 'web',
          image: busyboxImage,
          imagePullPolicy: 'Never',
          command: ['sh', '-c', serve],
          ports: [{ name: 'http', containerPort: 8080 }],
          readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
        },
      ],
    },
  };
}

function policy(name: string, spec: object): object {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name, namespace: 'shop' },
    spec,
  };
}

const ofWeb = { podSelector: { matchLabels: { app: 'web' } } };

/** What a shell in the pod of `client` says. A host whose agent is away for a moment is asked again. */
async function inPod(client: string, script: string): Promise<string> {
  const [namespace, name] = client.split('/') as [string, string];
  return until(`${client} runs ${script}`, async () => {
    const { code, stdout } = await tryKubectl(['exec', '-n', namespace, name, '--', 'sh', '-c', script]);
    return code === 0 && stdout;
  });
}

/** Whether `client` gets an answer of `url`; by default from the pod `web` itself. */
async function reaches(client: string, url = `http://${addresses['shop/web']}:8080`): Promise<boolean> {
  const said = await inPod(client, `timeout 2 wget -qO- ${url} >/dev/null 2>&1 && echo yes || echo no`);
  return said === 'yes\n';
}

/** A policy takes effect some time after it was written; from then on it stays so. */
async function becomes(client: string, open: boolean, url?: string): Promise<void> {
  await until(
    `${client} ${open ? 'reaches' : 'does not reach'} ${url ?? 'web'}`,
    async () => (await reaches(client, url)) === open,
  );
}

/** Of all clients these reach `url`, and no others. Who does is asked until it answers: a busy machine is slow. */
async function onlyReach(clients: string[], url?: string): Promise<void> {
  await Promise.all(clients.map((client) => becomes(client, true, url)));
  const others = everyClient.filter((client) => !clients.includes(client));
  const answers = await Promise.all(others.map((client) => reaches(client, url)));
  expect(others.filter((_, i) => answers[i])).toEqual([]);
}

test('default deny of ingress: no pod reaches it, by its address or its Service, on either host; the probe of kubelet does', async () => {
  await apply(policy('deny', ofWeb));
  await becomes('shop/client-0', false);
  await becomes('shop/client-1', false);
  await onlyReach([]);
  expect(await reaches('shop/client-1', 'http://web.shop')).toBe(false);
  const web = (await pods()).find((p) => p.metadata.name === 'web')!;
  expect(web.status.containerStatuses?.[0]?.ready).toBe(true);
  await kubectl(['delete', 'networkpolicy', 'deny', '-n', 'shop']);
  await becomes('shop/client-1', true, 'http://web.shop');
});

test('allowed by pod selector and by namespace selector, at the named port alone', async () => {
  const from = [
    { podSelector: { matchExpressions: [{ key: 'app', operator: 'In', values: ['client-1'] }] } },
    {
      namespaceSelector: { matchLabels: { team: 'bank' } },
      podSelector: { matchLabels: { app: 'teller-0' } },
    },
  ];
  await apply(policy('allow', { ...ofWeb, ingress: [{ from, ports: [{ port: 'http' }] }] }));
  await becomes('shop/client-0', false);
  await onlyReach(['shop/client-1', 'bank/teller-0']);
  await onlyReach([], `http://${addresses['shop/web']}:8081`);
  // A label that comes makes a peer.
  await kubectl(['label', 'pod', '-n', 'bank', 'teller-1', '--overwrite', 'app=teller-0']);
  await becomes('bank/teller-1', true);
  await kubectl(['label', 'pod', '-n', 'bank', 'teller-1', '--overwrite', 'app=teller-1']);
  await becomes('bank/teller-1', false);
});

test('allowed by ipBlock, with an exception', async () => {
  const ipBlock = {
    cidr: '10.42.0.0/16',
    except: [`${addresses['shop/client-1']}/32`, `${addresses['bank/teller-0']}/32`],
  };
  await apply(policy('block', { ...ofWeb, ingress: [{ from: [{ ipBlock }] }] }));
  await becomes('shop/client-1', false);
  await onlyReach(['shop/client-0', 'bank/teller-1']);
});

test('egress: denied with DNS, then DNS alone allowed, then one peer by its Service', async () => {
  const client = { podSelector: { matchLabels: { app: 'client-1' } }, policyTypes: ['Egress'] };
  const lookup = 'timeout 3 nslookup web.shop.svc.cluster.local >/dev/null 2>&1 && echo yes || echo no';
  const resolves = async () => (await inPod('shop/client-1', lookup)) === 'yes\n';
  await apply(policy('out', client));
  await becomes('shop/client-1', false);
  expect(await resolves()).toBe(false);
  await becomes('shop/client-0', true);
  const dns = { namespaceSelector: {}, podSelector: { matchLabels: { 'k8s-app': 'kube-dns' } } };
  await apply(policy('dns', { ...client, egress: [{ to: [dns], ports: [{ port: 53, protocol: 'UDP' }] }] }));
  await until('the name resolves', resolves);
  expect(await reaches('shop/client-1', 'http://web.shop')).toBe(false);
  await apply(policy('web', { ...client, egress: [{ to: [ofWeb], ports: [{ port: 8080 }] }] }));
  await becomes('shop/client-1', true, 'http://web.shop');
  expect(await reaches('shop/client-1', `http://${addresses['bank/teller-0']}:8080`)).toBe(false);
});

test('what enforces it is killed, with the agent: nothing opens, and the next life goes on', async () => {
  await apply(policy('deny', { podSelector: {} }));
  await Promise.all(everyClient.map((client) => becomes(client, false)));
  const daemons = (await rancher.instances()).filter((i) => i.component === 'cni');
  expect(daemons.map((i) => i.host).sort()).toEqual(hosts);
  // Asks on its own, whatever becomes of the host's agent.
  const web = `http://${addresses['shop/web']}:8080`;
  const asking = `for i in $(seq 12); do timeout 1 wget -qO- ${web} && echo reached; done; echo asked`;
  for (const client of everyClient)
    await inPod(client, `(${asking}) >/tmp/asked 2>/dev/null </dev/null & echo`);
  for (const { pid } of daemons) {
    const agent = await parentOf(pid!);
    expect((await run('kill', ['-KILL', String(pid), agent])).code).toBe(0);
  }
  await until('other daemons are healthy', async () => {
    const now = (await rancher.instances()).filter((i) => i.component === 'cni');
    return (
      now.length === 2 && now.every((i) => i.health === 'healthy' && daemons.every((d) => d.pid !== i.pid))
    );
  });
  for (const client of everyClient) {
    const said = await until('it has asked', async () => {
      const text = await inPod(client, 'cat /tmp/asked');
      return text.endsWith('asked\n') && text;
    });
    expect(said).toBe('asked\n');
  }
  await kubectl(['delete', 'networkpolicy', 'deny', '-n', 'shop']);
  await becomes('shop/client-0', true);
});

/** The agent started it. */
async function parentOf(pid: number): Promise<string> {
  const { stdout } = await run('cat', [`/proc/${pid}/stat`]);
  return stdout.slice(stdout.lastIndexOf(')') + 2).split(' ')[1]!;
}

test('a new pod under a policy neither reaches nor is reached, from its first moment', async () => {
  await apply(
    policy('deny', { podSelector: { matchLabels: { newborn: 'yes' } }, policyTypes: ['Ingress', 'Egress'] }),
  );
  // That both hosts know the policy shows in a pod that is there.
  await kubectl(['label', 'pod', '-n', 'shop', 'client-0', 'client-1', 'newborn=yes']);
  await becomes('shop/client-0', false);
  await becomes('shop/client-1', false);
  await kubectl(['label', 'pod', '-n', 'shop', 'client-0', 'client-1', 'newborn-']);

  // Pods of bank on both hosts ask every address that comes next, on and on.
  const next = hosts.flatMap((_, i) => following(addresses[`bank/teller-${i}`]!, 6));
  const taken = new Set((await pods()).map((p) => p.status.podIP));
  const free = next.filter((address) => !taken.has(address));
  const scan = free
    .map(
      (a) =>
        `(while :; do timeout 1 wget -qO- http://${a}:8080 && echo hit ${a}; sleep 0.3; done) 2>/dev/null &`,
    )
    .join(' ');
  await apply(...hosts.map((host, i) => server('bank', `scanner-${i}`, host, scan)));
  const logs = async () =>
    (await Promise.all(hosts.map((_, i) => kubectl(['logs', '-n', 'bank', `scanner-${i}`])))).join('');

  const ask = `(for i in $(seq 20); do timeout 1 wget -qO- http://${addresses['bank/teller-0']}:8080 && echo reached; done; echo asked) 2>/dev/null`;
  const newborns = hosts.map((host, i) => {
    const pod = server('shop', `newborn-${i}`, host, `${ask} &`) as { metadata: { labels: object } };
    pod.metadata.labels = { newborn: 'yes' };
    return pod;
  });
  const free2 = hosts.map((host, i) => server('shop', `free-${i}`, host, `${ask} &`));
  await until('the scanners see what is open', async () => {
    await apply(...newborns, ...free2);
    const answered = await logs();
    const now = await pods();
    const address = (name: string) => now.find((p) => p.metadata.name === name)?.status.podIP;
    return hosts.every((_, i) => {
      const open = address(`free-${i}`);
      return open !== undefined && answered.includes(`hit ${open}\n`);
    });
  });
  await until('the newborn have asked', async () => {
    const said = await Promise.all(hosts.map((_, i) => kubectl(['logs', '-n', 'shop', `newborn-${i}`])));
    return said.every((text) => text.includes('asked'));
  });
  const all = await pods();
  const answered = await logs();
  for (const i of hosts.keys()) {
    const newborn = all.find((p) => p.metadata.name === `newborn-${i}`)!;
    expect(free).toContain(newborn.status.podIP);
    expect(answered).not.toContain(`hit ${newborn.status.podIP}\n`);
    expect(await kubectl(['logs', '-n', 'shop', `newborn-${i}`])).not.toContain('reached');
    expect(await kubectl(['logs', '-n', 'shop', `free-${i}`])).toContain('reached');
  }
});

/** The addresses after one of the same /24. */
function following(address: string, count: number): string[] {
  const [head, last] = [
    address.slice(0, address.lastIndexOf('.')),
    Number(address.slice(address.lastIndexOf('.') + 1)),
  ];
  return Array.from({ length: count }, (_, i) => `${head}.${last + 1 + i}`);
}
