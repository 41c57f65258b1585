/**
 * Quorum is lost: two of three hosts are switched off, so that etcd cannot be written any more. One call recovers it from the
 * survivor, with the worker killed in the middle; every acknowledged object is there. The two hosts return with the etcd of
 * before on their disks, and join the new one: nothing of before comes back, nothing is there twice.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { etcdMetrics } from '../support/etcd.ts';
import { loadBusybox } from '../support/images.ts';
import { createInstallation, type Installation, until } from '../support/installation.ts';
import { podsReady, webManifest } from '../support/workload.ts';

const environment = 'quorum';
const survivor = 'quorum-1';
const others = ['quorum-2', 'quorum-3'];
const objects = Array.from({ length: 20 }, (_, i) => `before-${i}`);
let rancher: Installation;
let id: string;

beforeAll(async () => {
  rancher = await createInstallation('quorum-loss');
  await rancher.must(['up']);
  const options = { hosts: { reconnectingAfterSeconds: 12, disconnectedAfterSeconds: 18 } };
  const made = await rancher.api('POST', '/v1/environments', {
    name: environment,
    spec: { hosts: { local: 3 }, options },
  });
  id = made.body.target.id;
  await settled(survivor, ...others);
  await loadBusybox(rancher, environment);
  await kubectl(['apply', '-f', '-'], webManifest('web', 2));
  await podsReady(rancher, 'app=web', 2, environment);
  await until('the members were asked', async () => (await condition('EtcdHealthy'))?.status === 'True');
});
afterAll(async () => {
  await rancher?.purge();
});

const kubectl = (args: string[], input?: string) =>
  rancher.kubectl(args, { environment, ...(input === undefined ? {} : { input }) });
const shown = async () => (await rancher.api('GET', `/v1/environments/${id}`)).body;
const condition = async (type: string) =>
  (await shown()).status.conditions.find((c: { type: string }) => c.type === type);
const told = async (reason: string) =>
  (await rancher.events(environment)).filter((e) => e.reason === reason).length;
const recover = (...args: string[]) => rancher.rancher(['environment', 'recover', environment, ...args]);

/** Everything that is planned on these hosts is healthy, and the control plane runs on each of them and nowhere else. */
const settled = (...hosts: string[]) =>
  until(
    `the control plane is healthy on ${hosts.join(', ')}`,
    async () => {
      const rows = (await rancher.instances(environment)).filter((i) => i.state !== 'stopping');
      const runs = (component: string) =>
        rows
          .filter((i) => i.component === component)
          .map((i) => i.host)
          .sort();
      const whole = ['etcd', 'kube-apiserver', 'kube-scheduler'].every((c) => `${runs(c)}` === `${hosts}`);
      const { status } = await shown();
      const there = rows.filter((i) => hosts.includes(i.host));
      return whole && there.every((i) => i.health === 'healthy') && status.state === 'active';
    },
    240_000,
  );

const list = async (...args: string[]): Promise<string[]> =>
  JSON.parse(await kubectl(['get', 'configmaps', '-o', 'json', ...args])).items.map(
    (item: { metadata: { name: string } }) => item.metadata.name,
  );

/** What a host's member of etcd says of itself. */
async function metric(host: string, name: string): Promise<number> {
  const member = (await rancher.instances(environment)).find(
    (i) => i.component === 'etcd' && i.host === host,
  );
  if (member?.pid == null) return Number.NaN;
  const metrics = await etcdMetrics(member.pid);
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(metrics)?.[1]);
}

test('is refused while etcd has its quorum', async () => {
  const refused = await recover('--dry-run');
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toContain('has not lost quorum');
});

test('lost: it is said, nothing can be written, and a dry run tells what may be lost', async () => {
  const items = objects.map((name) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, labels: { written: 'before' } },
  }));
  await kubectl(['create', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  await Promise.all(
    others.map((host) => rancher.must(['host', 'power-off', host, '-e', environment, '--wait'])),
  );
  const said = await until('it is said', async () => {
    const found = await condition('PlanBlocked');
    return found?.reason === 'EtcdQuorumLost' && found;
  });
  expect(said.message).toContain(`1 of 3 members answer (${survivor})`);
  expect(await told('EtcdQuorumLost')).toBe(1);
  const write = ['create', 'configmap', 'refused', '--request-timeout=2s'];
  expect((await rancher.rancher(['kubectl', '-e', environment, ...write])).code).not.toBe(0);

  const preview = JSON.parse(
    await rancher.must(['environment', 'recover', environment, '--dry-run', '--json']),
  );
  expect(preview.survivor).toMatchObject({ host: survivor, appliedIndex: expect.any(Number) });
  expect(preview.members).toHaveLength(3);
  for (const member of preview.members) {
    expect(member.answers).toBe(member.host === survivor);
    expect(member.appliedIndex).toBeGreaterThan(0);
  }
  process.stdout.write(`dry run: ${preview.message}\n`);
  const gone = await recover('--host', others[0]!);
  expect(gone.stderr).toContain('does not answer');
});

test('recovered from the survivor, with the worker killed in the middle: every acknowledged object is there', async () => {
  const began = Date.now();
  const started = JSON.parse(await rancher.must(['environment', 'recover', environment, '--json']));
  const { processes } = JSON.parse(await rancher.must(['status', '--json'])) as {
    processes: { name: string; pid: number }[];
  };
  process.kill(processes.find((p) => p.name === 'worker')!.pid, 'SIGKILL');
  // Asked for again while it is under way, it is the same one; once it is done, there is nothing to recover.
  const again = await recover('--json');
  if (again.code === 0) expect(JSON.parse(again.stdout).id).toBe(started.id);
  else expect(again.stderr).toContain('has not lost quorum');
  const done = await until('it is recovered', async () => {
    const { body } = await rancher.api('GET', `/v1/operations/${started.id}`);
    return body.status.finishedAt !== null && body;
  });
  process.stdout.write(`recovered in ${Date.now() - began} ms: ${JSON.stringify(done.status.steps)}\n`);
  expect(done.status.state).toBe('succeeded');
  await settled(survivor);
  expect((await list('-l', 'written=before')).sort()).toEqual([...objects].sort());
  expect(await told('EtcdRecovered')).toBe(1);
  await kubectl(['create', 'configmap', 'after']);
  await kubectl(['delete', 'configmap', objects[0]!]);
});

test('the two hosts return, join anew, and bring nothing of before back', async () => {
  await Promise.all(
    others.map((host) => rancher.must(['host', 'power-on', host, '-e', environment, '--wait'])),
  );
  await settled(survivor, ...others);
  const names = await list();
  expect(names).toContain('after');
  expect(names.filter((name) => objects.includes(name)).sort()).toEqual(objects.slice(1).sort());
  expect(new Set(names).size).toBe(names.length);
  for (const host of [survivor, ...others]) {
    expect(await metric(host, 'etcd_debugging_mvcc_current_revision')).toBeGreaterThan(1_000_000_000);
    expect(await metric(host, 'etcd_server_has_leader')).toBe(1);
  }
  expect(await told('EtcdRecovered')).toBe(1);
  expect(await told('EtcdMemberPromoted')).toBe(2);
  const places = (await rancher.instances(environment)).map((i) => `${i.component} on ${i.host}`);
  expect(new Set(places).size).toBe(places.length);
  await podsReady(rancher, 'app=web', 2, environment);
  expect((await recover()).stderr).toContain('has not lost quorum');
});
