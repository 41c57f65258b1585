/**
 * What a newcomer does: `./rancher up`, then kubectl. Protects the promise of the first page of the README, word by word.
 */
import { readdir, readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadBusybox } from '../support/images.ts';
import { background, createInstallation, type Installation, run, until } from '../support/installation.ts';
import { podsReady, webManifest } from '../support/workload.ts';

let rancher: Installation;

beforeAll(async () => {
  rancher = await createInstallation('first');
});

afterAll(async () => {
  await rancher?.purge();
});

interface Status {
  url: string;
  adminKeyFile: string;
  environments: {
    id: string;
    name: string;
    state: string;
    kubernetesVersion: string;
    kubeconfigFile: string;
    hosts: unknown[];
  }[];
}

async function status(): Promise<Status> {
  return JSON.parse(await rancher.must(['status', '--json'])) as Status;
}

async function waitActive(name: string): Promise<void> {
  await until(`environment ${name} is active`, async () => {
    const { body } = await rancher.api('GET', `/v1/environments?name=${name}`);
    return body.items[0]?.status.state === 'active';
  });
}

test('up brings a Ready cluster, and says where everything is', async () => {
  const output = await rancher.must(['up']);
  expect(output).toContain(rancher.url);
  const { environments, adminKeyFile } = await status();
  expect(environments).toMatchObject([{ name: 'default', state: 'active', kubernetesVersion: '1.37.2' }]);
  expect((await readFile(adminKeyFile, 'utf8')).trim()).toMatch(/^rk_/);
  const nodes = await rancher.kubectl(['get', 'nodes', '-o', 'json']);
  const ready = JSON.parse(nodes).items[0].status.conditions.find(
    (c: { type: string }) => c.type === 'Ready',
  );
  expect(ready.status).toBe('True');
});

test('a second up finds everything running and says so', async () => {
  const before = await rancher.instances();
  const output = await rancher.must(['up']);
  expect(output).toMatch(/already running/i);
  expect((await rancher.instances()).map((i) => i.pid)).toEqual(before.map((i) => i.pid));
});

test('a Deployment with a Service runs; logs, exec and port-forward work', async () => {
  await loadBusybox(rancher);
  await rancher.kubectl(['apply', '-f', '-'], { input: webManifest('web') });
  const [pod] = await podsReady(rancher, 'app=web', 2);
  expect(await rancher.kubectl(['logs', pod!.name])).toContain('serving');
  expect(await rancher.kubectl(['exec', pod!.name, '--', 'hostname'])).toContain(pod!.name);
  const viaService = await rancher.kubectl([
    'exec',
    pod!.name,
    '--',
    'timeout',
    '5',
    'wget',
    '-qO-',
    'http://web',
  ]);
  expect(viaService).toMatch(/^web-/);

  const forward = background(rancher, ['kubectl', 'port-forward', 'service/web', ':80']);
  try {
    const port = await until(
      'port-forward listens',
      async () => /127\.0\.0\.1:(\d+)/.exec(forward.output())?.[1],
    );
    const answer = await until('the forwarded port answers', async () =>
      (await fetch(`http://127.0.0.1:${port}/`)).text(),
    );
    expect(answer).toMatch(/^web-/);
  } finally {
    forward.stop();
  }
});

test('cluster DNS answers for services and says NXDOMAIN for what is not there', async () => {
  const [pod] = await podsReady(rancher, 'app=web', 2);
  const found = await rancher.kubectl(['exec', pod!.name, '--', 'nslookup', 'web.default.svc.cluster.local']);
  expect(found).toMatch(/Address: 10\.43\./);
  const missing = await rancher.rancher([
    'kubectl',
    'exec',
    pod!.name,
    '--',
    'nslookup',
    'nope.default.svc.cluster.local',
  ]);
  expect(`${missing.stdout}${missing.stderr}`).toMatch(/NXDOMAIN/);
});

test('the cluster is secure: anonymous callers see health only, secrets are encrypted in etcd', async () => {
  const apiserver = (await rancher.instances()).find((i) => i.component === 'kube-apiserver')!;
  const address = (await rancher.api('GET', '/v1/hosts')).body.items.find(
    (h: { spec: { kind: string } }) => h.spec.kind === 'local',
  ).status.address as string;
  const curl = (path: string) =>
    run('curl', ['-sk', '-o', '/dev/null', '-w', '%{http_code}', `https://${address}:6443${path}`]);
  expect((await curl('/livez')).stdout).toBe('200');
  expect((await curl('/api/v1/namespaces')).stdout).toBe('401');
  await rancher.kubectl(['create', 'secret', 'generic', 'sealed', '--from-literal=word=plainlyreadable']);
  const etcd = await run('grep', ['-rc', 'plainlyreadable', `/proc/${apiserver.pid}/root/var/lib/etcd`]);
  expect(etcd.stdout).not.toMatch(/:[1-9]/);
});

test('a second environment of another version, by REST alone, beside the first; DELETE removes it wholly', async () => {
  const created = await rancher.api('POST', '/v1/environments', {
    name: 'second',
    spec: { kubernetesVersion: '1.36.3', hosts: { local: 1 } },
  });
  expect(created.status).toBe(202);
  await waitActive('second');
  const version = JSON.parse(await rancher.kubectl(['version', '-o', 'json'], { environment: 'second' }));
  expect(version.serverVersion.gitVersion).toBe('v1.36.3');
  const [environment] = (await rancher.api('GET', '/v1/environments?name=second')).body.items;
  const pids = (await rancher.instances('second')).map((i) => i.pid);

  expect((await rancher.api('DELETE', `/v1/environments/${environment.id}`)).status).toBe(202);
  await until('the second environment is gone', async () => {
    const { status: code } = await rancher.api('GET', `/v1/environments/${environment.id}`);
    return code === 404;
  });
  for (const pid of pids) expect((await run('test', ['-d', `/proc/${pid}`])).code).toBe(1);
  expect((await rancher.instances()).every((i) => i.health === 'healthy')).toBe(true);
});

test('down stops everything and leaves the data; up brings back the same cluster with its objects', async () => {
  await rancher.kubectl(['create', 'configmap', 'kept', '--from-literal=a=1']);
  const pids = (await rancher.instances()).map((i) => i.pid);
  await rancher.must(['down']);
  for (const pid of pids) expect((await run('test', ['-d', `/proc/${pid}`])).code).toBe(1);
  await rancher.must(['up']);
  expect(await rancher.kubectl(['get', 'configmap', 'kept', '-o', 'jsonpath={.data.a}'])).toBe('1');
  await podsReady(rancher, 'app=web', 2);
});

test('misuse is told from failure, and a clear error names the field', async () => {
  expect((await rancher.rancher(['environment', 'create'])).code).toBe(2);
  expect((await rancher.rancher(['nonsense'])).code).toBe(2);
  const unknown = await rancher.rancher(['environment', 'create', 'third', '--version', '1.2.3']);
  expect(unknown.code).toBe(1);
  expect(unknown.stderr).toMatch(/1\.2\.3/);
  expect(unknown.stderr).toMatch(/1\.37\.2/);
});

test('down --purge leaves no trace', async () => {
  const needle = rancher.home;
  await rancher.must(['down', '--purge']);
  const mounts = await readFile('/proc/self/mountinfo', 'utf8');
  expect(mounts).not.toContain(needle);
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const commands = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
  );
  expect(commands.filter((command) => command.includes(needle))).toEqual([]);
  expect((await run('test', ['-e', needle])).code).toBe(1);
});
