import { type Condition, findCondition, type Plan } from '@rancher/domain';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Context } from './context.ts';
import { reconcileEnvironment } from './environment.ts';
import { recordSilence } from './hosts.ts';
import { type Agent, Lab } from './lab.ts';
import { askPeers } from './peers.ts';
import { sweep } from './sweep.ts';
import { json } from './world.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
}, 60_000);
afterAll(() => lab?.close());

const longAgo = new Date(0);

/** @param planes label of each host, which puts it on a plane */
async function active(hosts: number, options: object = {}, planes: string[] = []) {
  const id = await lab.environment(hosts);
  await lab.prisma.environment.update({ where: { id }, data: { options: json(options) } });
  const agents = await lab.agentsOf(id);
  for (const [i, plane] of planes.entries())
    await lab.prisma.host.update({ where: { id: agents[i]!.id }, data: { labels: { [plane]: 'true' } } });
  for (const agent of agents) await agent.connect();
  await lab.settle(id);
  await lab.prisma.environment.update({ where: { id }, data: { activeAt: new Date() } });
  return { id, agents };
}

/** It was last heard so many seconds ago. */
async function silence(agent: Agent, seconds: number): Promise<void> {
  agent.connected = false;
  await lab.prisma.host.update({
    where: { id: agent.id },
    data: { lastSeenAt: new Date(Date.now() - seconds * 1000), connectedTo: null },
  });
}

const row = (agent: Agent) => lab.prisma.host.findUniqueOrThrow({ where: { id: agent.id } });
const condition = async (agent: Agent, type: Condition['type']) =>
  findCondition((await row(agent)).conditions as unknown as Condition[], type);
const judge = () => recordSilence(lab.prisma, longAgo, new Date());

/** What each host would say of another. */
function peers(reaches: (peer: string, of: string) => boolean | Error): Context {
  const answer = (peer: string, of: string) => {
    const said = reaches(lab.agents.get(peer)!.name, lab.agents.get(of)!.name);
    if (said instanceof Error) throw said;
    return said;
  };
  const cluster = { ...lab.context.cluster, reaches: async (peer: string, of: string) => answer(peer, of) };
  return { ...lab.context, cluster };
}

it('silence makes a host reconnecting and then lost, its instances unknown; as its environment says', async () => {
  const patient = await active(2);
  const hasty = await active(2, { hosts: { reconnectingAfterSeconds: 12, disconnectedAfterSeconds: 20 } });
  for (const { agents } of [patient, hasty]) await silence(agents[1]!, 14);
  expect(await judge()).toEqual([hasty.id]);
  for (const { agents } of [patient, hasty]) await silence(agents[1]!, 25);
  await judge();
  expect((await row(patient.agents[1]!)).state).toBe('reconnecting');
  expect((await row(hasty.agents[1]!)).state).toBe('disconnected');
  const instances = await lab.prisma.instance.findMany({ where: { hostId: hasty.agents[1]!.id } });
  expect(instances.every((i) => i.state === 'unknown' && i.health === 'unknown')).toBe(true);
  await silence(patient.agents[1]!, 41);
  await judge();
  expect((await row(patient.agents[1]!)).state).toBe('disconnected');
  await hasty.agents[1]!.connect();
  await lab.settle(hasty.id);
  expect(await lab.row(hasty.id)).toMatchObject({ health: 'healthy' });
});

it('peers tell a host that the server cannot see from one that is down, in words', async () => {
  const { id, agents } = await active(4);
  const [one, two, three, four] = agents as [Agent, Agent, Agent, Agent];
  for (const agent of [three, four]) await silence(agent, 41);
  await judge();
  await askPeers(
    peers((_peer, of) => of === three.name),
    id,
  );
  expect(await condition(three, 'Reachable')).toMatchObject({
    status: 'True',
    reason: 'SeenByPeers',
    seenBy: [one.name, two.name],
    message: `${one.name} and ${two.name} reach ${three.name}: it runs, and the server cannot see it`,
  });
  expect(await condition(four, 'Reachable')).toMatchObject({ status: 'False', reason: 'NotSeenByPeers' });
  await reconcileEnvironment(lab.context, id);
  const { conditions } = await lab.row(id);
  expect(findCondition(conditions as unknown as Condition[], 'HostsReady')?.message).toContain(
    `reach ${three.name}, so only the server cannot see it`,
  );
  const before = (await lab.events(id)).length;
  await askPeers(
    peers((_peer, of) => of === three.name),
    id,
  );
  expect((await lab.events(id)).length).toBe(before);
  expect((await lab.events(id)).filter((e) => e.startsWith('HostReached'))).toHaveLength(1);
  await three.connect();
  expect(await condition(three, 'Reachable')).toBeUndefined();
});

it('peers that do not answer say nothing', async () => {
  const { id, agents } = await active(2);
  await silence(agents[1]!, 41);
  await judge();
  await askPeers(
    peers(() => new Error('503')),
    id,
  );
  expect(await condition(agents[1]!, 'Reachable')).toMatchObject({ status: 'Unknown', reason: 'NoPeers' });
});

it('the sweep has them asked', async () => {
  const { id, agents } = await active(2);
  await silence(agents[1]!, 20);
  lab.jobs.length = 0;
  await sweep(lab.context, longAgo);
  expect(lab.jobs).toContainEqual({ name: 'ask-peers', data: { environmentId: id } });
});

it('what moved away from a host that returns is stopped there, and is never counted twice', async () => {
  // The scheduler runs elsewhere than etcd, or it could not be moved without it.
  const { id, agents } = await active(4, {}, ['etcd', 'orchestration', 'orchestration', 'orchestration']);
  const planned = async () => {
    const { targetPlanId } = await lab.row(id);
    const plan = (await lab.prisma.plan.findUniqueOrThrow({
      where: { id: targetPlanId! },
    })) as unknown as Plan;
    return plan.instances.filter((i) => i.service === 'kube-scheduler');
  };
  const [first] = await planned();
  const lost = agents.find((a) => a.id === first!.hostId)!;
  await silence(lost, 50);
  await judge();
  await lab.settle(id);
  const [moved] = await planned();
  expect(moved!.hostId).not.toBe(lost.id);
  expect(await lab.prisma.instance.findUniqueOrThrow({ where: { id: first!.id } })).toMatchObject({
    state: 'stopping',
  });

  // It comes back with all that it ran; its inventory is up before its slice comes down.
  expect([...lost.running.values()].some((i) => i.id === first!.id)).toBe(true);
  await lost.connect();
  await reconcileEnvironment(lab.context, id);
  const service = await lab.prisma.service.findFirstOrThrow({
    where: { environmentId: id, name: 'kube-scheduler' },
  });
  expect(service.health).toBe('healthy');
  expect(await planned()).toEqual([moved]);
  expect(await lab.prisma.instance.findUniqueOrThrow({ where: { id: first!.id } })).toMatchObject({
    state: 'stopping',
    removedAt: null,
  });
  await lab.settle(id);
  expect([...lost.running.values()].some((i) => i.id === first!.id)).toBe(false);
  expect(await lab.prisma.instance.findUniqueOrThrow({ where: { id: first!.id } })).toMatchObject({
    state: 'removed',
  });
});
