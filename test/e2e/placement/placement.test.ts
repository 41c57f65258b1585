/**
 * Three hosts of an environment, their labels, and what runs where; and what processes on them may ask of it. Protects the
 * promises of docs/placement.md and docs/metadata.md on real hosts.
 */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createFaults, type Faults } from '../support/faults.ts';
import { busyboxImage, loadBusybox } from '../support/images.ts';
import { createInstallation, type Installation, run, until } from '../support/installation.ts';

let rancher: Installation;
let faults: Faults;
let environmentId: string;
/** The network namespace of a caller that is no host and no pod. */
let stranger: string;

beforeAll(async () => {
  rancher = await createInstallation('placement');
  faults = createFaults(rancher);
  const id = createHash('sha256').update(rancher.home).digest('hex').slice(0, 8);
  stranger = `rancher-${id}-stranger`;
  await rancher.must(['up']);
  const { body } = await rancher.api('GET', '/v1/environments?name=default');
  environmentId = body.items[0].id;
  for (const labels of [{ zone: 'a' }, { zone: 'b' }])
    await rancher.api('POST', `/v1/environments/${environmentId}/hosts`, { kind: 'local', labels });
  await allHealthy(3);
});

afterAll(async () => {
  await run('ip', ['netns', 'delete', stranger]);
  await faults?.healAll();
  await rancher?.purge();
});

interface Host {
  id: string;
  name: string;
  status: { address: string };
}

async function hosts(): Promise<Host[]> {
  return (await rancher.api('GET', `/v1/environments/${environmentId}/hosts`)).body.items as Host[];
}

const hostNamed = async (name: string) => (await hosts()).find((h) => h.name === name)!;

/** Everything planned runs and is healthy, on that many hosts, and nothing waits. */
async function allHealthy(count: number): Promise<void> {
  await until(
    `everything is healthy on ${count} hosts`,
    async () => {
      const rows = await rancher.instances();
      const nodes = new Set(rows.filter((r) => r.component === 'kubelet').map((r) => r.host));
      return nodes.size === count && rows.every((r) => r.health === 'healthy');
    },
    240_000,
    500,
  );
}

const runsOn = async (component: string) =>
  (await rancher.instances()).filter((i) => i.component === component).map((i) => i.host);

/** Read, change, and again where something else was written in between: the server writes statuses all the time. */
async function patch(path: string, body: object): Promise<void> {
  const authorization = `Bearer ${await adminKey()}`;
  await until(`${path} is changed`, async () => {
    const etag = (await rancher.api('GET', path)).headers.get('etag') ?? '*';
    const headers = { authorization, 'content-type': 'application/merge-patch+json', 'if-match': etag };
    const answer = await fetch(rancher.url + path, { method: 'PATCH', headers, body: JSON.stringify(body) });
    if (answer.status !== 200) throw new Error(`${answer.status}: ${await answer.text()}`);
    return true;
  });
}

async function adminKey(): Promise<string> {
  return (await run('cat', [`${rancher.home}/admin.key`])).stdout.trim();
}

/** As a process of a host: in its network namespace, with this machine's wget. */
async function ask(host: string, path: string, header?: string): Promise<string> {
  const { pid } = (await rancher.instances()).find((i) => i.host === host && i.component === 'containerd')!;
  const headers = header === undefined ? [] : ['--header', header];
  const result = await run('nsenter', [
    `--net=/proc/${pid}/ns/net`,
    ...['curl', '-s', '--max-time', '20', ...headers, `http://169.254.169.250${path}`],
  ]);
  return result.stdout;
}

test('metadata is answered to processes of each host, of itself and of all', async () => {
  const [first] = await hosts();
  await until('metadata knows all three', async () =>
    (await ask('default-1', '/latest/hosts')).includes('2=default-3'),
  );
  expect(await ask('default-1', '/latest/self/host/name')).toBe('default-1');
  expect(await ask('default-2', '/latest/self/host/name')).toBe('default-2');
  expect(await ask('default-2', '/2026-11-24/hosts/default-1/agent_ip')).toBe(first!.status.address);
  const json = JSON.parse(await ask('default-3', '/latest/services/etcd', 'accept: application/json'));
  expect(json).toMatchObject({ stack_name: 'kubernetes', instances: [{ host_name: 'default-1' }] });
});

test('a component’s own process is told who it is', async () => {
  const kubelet = (await rancher.instances()).find(
    (i) => i.host === 'default-2' && i.component === 'kubelet',
  )!;
  // A process of that component's cgroup, in its host.
  const cgroups = (await run('cat', [`/proc/${kubelet.pid}/cgroup`])).stdout;
  expect(cgroups).toContain('/kubelet');
  const procs = await run('sh', [
    '-c',
    `for l in $(cut -d: -f2,3 /proc/${kubelet.pid}/cgroup); do c=\${l%%:*}; p=\${l#*:}; for d in /sys/fs/cgroup/\${c#name=}$p /sys/fs/cgroup$p; do [ -e $d/cgroup.procs ] && echo $d/cgroup.procs; done; done`,
  ]);
  const enter = procs.stdout
    .trim()
    .split('\n')
    .map((file) => `echo $$ > ${file}`)
    .join('; ');
  const { stdout } = await run('nsenter', [
    `--net=/proc/${kubelet.pid}/ns/net`,
    ...['sh', '-c', `${enter}; exec curl -s --max-time 20 http://169.254.169.250/latest/self/service/name`],
  ]);
  expect(stdout).toBe('kubelet');
});

test('a pod reaches it through its host, and is told which pod it is; elsewhere it is refused', async () => {
  await loadBusybox(rancher);
  const node = 'default-2';
  const overrides = JSON.stringify({ spec: { nodeName: node, terminationGracePeriodSeconds: 0 } });
  await rancher.kubectl([
    ...['run', 'asker', `--image=${busyboxImage}`, '--image-pull-policy=Never', `--overrides=${overrides}`],
    ...['--', 'sh', '-c', 'sleep 3600'],
  ]);
  const inPod = (path: string) =>
    rancher.kubectl(['exec', 'asker', '--', 'wget', '-q', '-O', '-', `http://169.254.169.250${path}`]);
  await until('the pod runs', async () => (await inPod('/latest/version')) !== '');
  expect(await inPod('/latest/self/host/name')).toBe(node);
  expect(await inPod('/latest/self/pod/name')).toBe('asker');
  expect(await inPod('/latest/self/pod/namespace')).toBe('default');

  // Another machine on the hosts' network, which sends to that host what is for its own address.
  const { status } = await hostNamed(node);
  const id = createHash('sha256').update(rancher.home).digest('hex').slice(0, 8);
  const far = `${status.address.split('.').slice(0, 3).join('.')}.250`;
  for (const command of [
    `netns add ${stranger}`,
    `link add rs${id} type veth peer name eth0 netns ${stranger}`,
    `link set rs${id} master rancher${id} up`,
    `-n ${stranger} address add ${far}/24 dev eth0`,
    `-n ${stranger} link set eth0 up`,
    `-n ${stranger} route add 169.254.169.250/32 via ${status.address}`,
  ]) {
    const done = await run('ip', command.split(' '));
    expect(done.code, `ip ${command}: ${done.stderr}`).toBe(0);
  }
  const refused = await run('ip', [
    ...['netns', 'exec', stranger, 'curl', '-s', '--max-time', '20', '-w', ' %{http_code}'],
    'http://169.254.169.250/latest/version',
  ]);
  expect(refused.stdout).toMatch(/pods and processes of this host.* 403$/s);
});

test('it answers while the server cannot be reached, after a restart of the agent too', async () => {
  const version = await ask('default-3', '/latest/version');
  const fault = await faults.cutFromServer('default-3');
  const { body } = await rancher.api('GET', `/v1/environments/${environmentId}/hosts?name=default-3`);
  await run('kill', ['-9', String(body.items[0].status.facts.agentPid)]);
  await until(
    'the new agent answers',
    async () => (await ask('default-3', '/latest/self/host/name')) === 'default-3',
  );
  expect(version).not.toBe('');
  expect(await ask('default-3', '/latest/services')).toContain('=kubelet');
  await fault.heal();
  await allHealthy(3);
});

test('a label that changes moves what a hard rule binds to it, and the plan says why', async () => {
  const { items } = (
    await rancher.api('GET', `/v1/environments/${environmentId}/services?name=kube-scheduler`)
  ).body;
  const rule = { 'io.rancher.scheduler.affinity:host_label': 'zone=a' };
  await patch(`/v1/services/${items[0].id}`, { labels: rule });
  const onlyOn = (host: string) => async () => {
    const at = (await rancher.instances()).filter((i) => i.component === 'kube-scheduler');
    return at.length === 1 && at[0]!.host === host && at[0]!.health === 'healthy';
  };
  await until('the scheduler is on default-2', onlyOn('default-2'), 240_000);
  await patch(`/v1/hosts/${(await hostNamed('default-2')).id}`, { labels: { zone: 'b' } });
  await patch(`/v1/hosts/${(await hostNamed('default-3')).id}`, { labels: { zone: 'a' } });
  await until('the scheduler is on default-3', onlyOn('default-3'), 240_000);
  const events = (await rancher.events()).map((e) => e.message).join('\n');
  expect(events).toMatch(
    /kube-scheduler on default-2 is stopped: kube-scheduler no longer belongs on default-2: it lacks label zone=a/,
  );
  await patch(`/v1/services/${items[0].id}`, {
    labels: { 'io.rancher.scheduler.affinity:host_label': null },
  });
});

test('isolated planes: the control plane goes to its hosts, and pods only where compute=true', async () => {
  const labels: Record<string, Record<string, string>> = {
    'default-1': { etcd: 'true' },
    'default-2': { orchestration: 'true' },
    'default-3': { compute: 'true' },
  };
  for (const [name, own] of Object.entries(labels))
    await patch(`/v1/hosts/${(await hostNamed(name)).id}`, { labels: own });
  await patch(`/v1/environments/${environmentId}`, { spec: { options: { planes: 'isolated' } } });
  for (const component of ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler'])
    await until(
      `${component} is on default-2 alone`,
      async () => JSON.stringify(await runsOn(component)) === '["default-2"]',
      300_000,
      500,
    );
  expect(await runsOn('etcd')).toEqual(['default-1']);
  await allHealthy(3);
  const tainted = async () => {
    const list = JSON.parse(await rancher.kubectl(['get', 'nodes', '-o', 'json']));
    type Row = { metadata: { name: string }; spec: { taints?: { key: string }[] } };
    return (list.items as Row[])
      .filter((n) => n.spec.taints?.some((t) => t.key === 'node-role.kubernetes.io/control-plane'))
      .map((n) => n.metadata.name);
  };
  await until(
    'the Nodes are tainted',
    async () => JSON.stringify(await tainted()) === '["default-1","default-2"]',
  );
  await rancher.kubectl([
    ...['create', 'deployment', 'work', `--image=${busyboxImage}`, '--replicas=4', '--', 'sleep', '3600'],
  ]);
  const placed = await until('its pods have hosts', async () => {
    const list = JSON.parse(await rancher.kubectl(['get', 'pods', '-l', 'app=work', '-o', 'json']));
    const nodes = (list.items as { spec: { nodeName?: string } }[]).map((p) => p.spec.nodeName);
    return nodes.length === 4 && nodes.every((n) => n !== undefined) ? nodes : undefined;
  });
  expect(new Set(placed)).toEqual(new Set(['default-3']));
});
