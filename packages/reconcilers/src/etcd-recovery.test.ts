import { DomainError, type Plan } from '@rancher/domain';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { checkEnvironment } from './check.ts';
import { chooseSurvivor, type MemberAnswer, recordRecovery } from './etcd-recovery.ts';
import { recordSilence } from './hosts.ts';
import { type Agent, Lab } from './lab.ts';
import { json, loadWorld, type World } from './world.ts';

let lab: Lab;
let id: string;
let agents: Agent[];
beforeAll(async () => {
  lab = await Lab.open();
  id = await lab.environment(3, {}, 3);
  agents = await lab.agentsOf(id);
  for (const agent of agents) await agent.connect();
  await lab.settle(id);
  await lab.prisma.environment.update({ where: { id }, data: { activeAt: new Date(), state: 'active' } });
  await lab.prisma.operation.deleteMany({ where: { environmentId: id } });
}, 60_000);
afterAll(() => lab?.close());

const world = async (): Promise<World> => (await loadWorld(lab.prisma, id))!;
const now = new Date();
/** What members say, by host's name: an index, or an index and that a leader is known. */
async function answers(said: Record<string, number | [number]>): Promise<MemberAnswer[]> {
  const { hosts } = await world();
  return Object.entries(said).map(([name, index]) => ({
    hostId: hosts.find((h) => h.name === name)!.id,
    leader: Array.isArray(index),
    appliedIndex: Array.isArray(index) ? index[0] : index,
  }));
}
async function choose(said: Record<string, number | [number]>, host?: string) {
  const w = await world();
  const hostId = host === undefined ? undefined : w.hosts.find((h) => h.name === host)!.id;
  return chooseSurvivor(w, await answers(said), now, hostId);
}
const planned = async (service: string) => {
  const { targetPlanId } = await lab.row(id);
  const plan = (await lab.prisma.plan.findUniqueOrThrow({ where: { id: targetPlanId! } })) as unknown as Plan;
  return plan.instances.filter((i) => i.service === service);
};

it.each([
  ['a leader is known', { 'host-1': [9] }, 'has not lost quorum: host-1 knows a leader'],
  [
    'most answer',
    { 'host-1': 9, 'host-2': 9 },
    '2 of 3 members answer (host-1 and host-2), and 2 are enough',
  ],
  ['nobody answers', {}, 'No member of etcd answers (host-1, host-2 and host-3)'],
] as [string, Record<string, number | [number]>, string][])(
  'is refused where %s',
  async (_case, said, why) => {
    const refused = await choose(said).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(DomainError);
    expect(refused).toMatchObject({ code: 'conflict', message: expect.stringContaining(why) });
  },
);

it('takes of five the one that has applied the most, or the one that is asked for', async () => {
  const five = await lab.environment(5, {}, 5);
  for (const agent of await lab.agentsOf(five)) await agent.connect();
  await lab.settle(five);
  const w = (await loadWorld(lab.prisma, five))!;
  const [a, b] = w.hosts.map((h) => h.id).sort();
  const said = [
    { hostId: a!, leader: false, appliedIndex: 41 },
    { hostId: b!, leader: false, appliedIndex: 42 },
  ];
  expect(chooseSurvivor(w, said, now).survivor).toMatchObject({ hostId: b, appliedIndex: 42 });
  const choice = chooseSurvivor(w, said, now, a);
  expect(choice.survivor).toMatchObject({ hostId: a, appliedIndex: 41 });
  expect(choice.message).toContain('answers, and held 1 change that');
});

it('what a member was last seen to have applied is kept, and tells what may be lost', async () => {
  const [one, two] = agents as [Agent, Agent, Agent];
  lab.kube.etcdApplied = { [one.id]: 100, [two.id]: 107 };
  await checkEnvironment(lab.context, id, new AbortController().signal);
  lab.kube.etcdApplied = {};
  expect((await choose({ 'host-1': 104 })).message).toMatch(
    /^etcd begins anew with what host-1 holds\. Host-2 was last asked .* ago, and held 3 changes that host-1 has not, which are lost; what host-3 holds is not known\. What host-2 and host-3 took on since then without host-1 is lost too/,
  );
});

it('is carried through: told, begun anew once, without the control plane of lost hosts; and grows when they return', async () => {
  const [one, ...others] = agents as [Agent, Agent, Agent];
  for (const agent of others) {
    agent.connected = false;
    const silent = { lastSeenAt: new Date(Date.now() - 60_000), connectedTo: null };
    await lab.prisma.host.update({ where: { id: agent.id }, data: silent });
  }
  await recordSilence(lab.prisma, new Date(0), new Date());
  await lab.settle(id);
  const lost = (await lab.events(id)).filter((e) => e.startsWith('EtcdQuorumLost'));
  expect(lost).toHaveLength(1);
  expect(lost[0]).toContain('1 of 3 members answer (host-1)');

  const before = await world();
  const choice = await choose({ 'host-1': 104 });
  const details = await lab.prisma.$transaction((tx) => recordRecovery(tx, before, choice, now));
  await expect(
    lab.prisma.$transaction((tx) => recordRecovery(tx, before, choice, now)),
  ).rejects.toMatchObject({ code: 'conflict' });
  const target = { kind: 'Environment', id, name: id };
  const operationId = await lab.operation(id, 'environment.recoverEtcd', target, { details });
  await lab.settle(id);
  const [etcd, ...more] = await planned('etcd');
  expect([etcd?.hostId, etcd?.memberId, more]).toEqual([one.id, details.memberId, []]);
  for (const service of ['kube-apiserver', 'kube-scheduler', 'kube-controller-manager'])
    expect((await planned(service)).map((i) => [i.hostId, details.supersedes.includes(i.id)])).toEqual([
      [one.id, false],
    ]);
  const spec = await lab.prisma.instanceSpec.findUniqueOrThrow({ where: { hash: etcd!.specHash } });
  const old = before.members.find((m) => m.hostId === one.id)!;
  expect(spec.spec).toMatchObject({ seed: { path: `/var/lib/etcd/${details.memberId}`, from: old.dataDir } });

  const ready = {
    type: 'ApiServerReady',
    status: 'True',
    reason: 'Ready',
    message: '',
    lastTransitionTime: now,
  };
  const { conditions } = await world().then((w) => w.environment);
  const rest = conditions.filter((c) => c.type !== 'ApiServerReady');
  expect(conditions).toContainEqual(expect.objectContaining({ reason: 'EtcdRecovering', status: 'False' }));
  await lab.prisma.environment.update({ where: { id }, data: { conditions: json([...rest, ready]) } });
  await lab.settle(id);
  const operation = await lab.prisma.operation.findUniqueOrThrow({ where: { id: operationId } });
  expect([operation.state, operation.error]).toEqual(['succeeded', null]);
  expect((await lab.row(id)).state).toBe('active');
  expect((await lab.events(id)).filter((e) => e.startsWith('EtcdQuorumLost'))).toHaveLength(1);
  expect((await lab.events(id)).filter((e) => e.startsWith('EtcdRecovered'))).toHaveLength(1);

  for (const agent of others) await agent.connect();
  await lab.settle(id);
  const { members } = await world();
  expect(members.map((m) => m.state).sort()).toEqual(['adding', 'voter']);
  expect(members.find((m) => m.state === 'adding')).toMatchObject({ recoveredFrom: null });
});
