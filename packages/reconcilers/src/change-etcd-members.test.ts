import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { changeEtcdMembers } from './change-etcd-members.ts';
import { ensureSystemStack } from './index.ts';
import { Lab } from './lab.ts';
import { sweep } from './sweep.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
});
afterAll(() => lab.close());
beforeEach(() => {
  lab.kube.memberChanges.length = 0;
  lab.kube.memberError = null;
});

const never = new AbortController().signal;
const aborted = AbortSignal.abort();

/** Three hosts with a control plane on one, of which three are wanted now. */
async function growing(): Promise<string> {
  const id = await lab.environment(3);
  for (const agent of await lab.agentsOf(id)) await agent.connect();
  await lab.settle(id);
  await lab.prisma.environment.update({ where: { id }, data: { controlPlaneReplicas: 3 } });
  await ensureSystemStack(lab.prisma, {
    environmentId: id,
    kubernetesVersion: '1.37.2',
    controlPlaneReplicas: 3,
  });
  return id;
}

const members = (environmentId: string) =>
  lab.prisma.etcdMember.findMany({ where: { environmentId }, orderBy: { createdAt: 'asc' } });
const kinds = () => lab.kube.memberChanges.map((c) => (JSON.parse(c) as { kind: string }).kind);

describe('a step of etcd’s membership', () => {
  it('is recorded before etcd is asked, and done by whoever comes after a crash', async () => {
    const id = await growing();
    await lab.settle(id);
    expect(lab.kube.memberChanges).toEqual([]);
    expect((await members(id)).map((m) => m.state)).toEqual(['voter', 'adding']);
    // The job was lost with its worker: the sweep finds what is not done.
    lab.jobs.length = 0;
    await sweep(lab.context, new Date());
    expect(lab.jobs).toContainEqual({ name: 'change-etcd-members', data: { environmentId: id } });
    await changeEtcdMembers(lab.context, id, never);
    expect(kinds()).toEqual(['add']);
    expect((await members(id))[1]).toMatchObject({
      state: 'learner',
      voting: false,
      initialClusterState: 'existing',
      initialCluster: 'host-1=https://10.1.0.1:2380',
    });
  });

  it('is asked for again where nobody knows whether it was done, and recorded once', async () => {
    const id = await growing();
    await lab.settle(id);
    await Promise.all([changeEtcdMembers(lab.context, id, never), changeEtcdMembers(lab.context, id, never)]);
    expect((await members(id)).map((m) => m.state)).toEqual(['voter', 'learner']);
    const told = (await lab.events(id)).filter((e) => e.startsWith('EtcdMemberAdded'));
    expect(told).toHaveLength(1);
  });

  it('that etcd refuses is shown in its words, and waited for', async () => {
    const id = await growing();
    await lab.settle(id);
    lab.kube.memberError = 'etcdserver: too many learner members in cluster';
    await changeEtcdMembers(lab.context, id, aborted);
    expect((await members(id))[1]).toMatchObject({
      state: 'adding',
      lastError: expect.stringContaining('too many'),
    });
    await lab.settle(id);
    const row = await lab.row(id);
    expect(row.conditions).toContainEqual(
      expect.objectContaining({
        type: 'PlanBlocked',
        reason: 'EtcdMemberChange',
        lastError: expect.stringContaining('too many learner'),
      }),
    );
    expect(await lab.prisma.etcdMember.count({ where: { environmentId: id } })).toBe(2);
  });

  it('after step leads from one member to three, and back', async () => {
    const id = await growing();
    for (let i = 0; i < 10; i += 1) {
      await lab.settle(id);
      await changeEtcdMembers(lab.context, id, never);
    }
    expect(kinds()).toEqual(['add', 'promote', 'add', 'promote']);
    expect((await members(id)).map((m) => m.state)).toEqual(['voter', 'voter', 'voter']);
    await lab.prisma.environment.update({ where: { id }, data: { controlPlaneReplicas: 1 } });
    await ensureSystemStack(lab.prisma, {
      environmentId: id,
      kubernetesVersion: '1.37.2',
      controlPlaneReplicas: 1,
    });
    for (let i = 0; i < 10; i += 1) {
      await lab.settle(id);
      await changeEtcdMembers(lab.context, id, never);
    }
    expect(kinds().slice(4)).toEqual(['remove', 'remove']);
    expect(await members(id)).toHaveLength(1);
    const left = await lab.prisma.instance.findMany({
      where: { environmentId: id, service: 'etcd', removedAt: null },
    });
    expect(left).toHaveLength(1);
  });
});
