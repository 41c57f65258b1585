import { components } from '@rancher/components';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Lab } from './lab.ts';
import { prune, retention } from './prune.ts';
import { runtimeLabel } from './simulated.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
}, 60_000);
afterAll(() => lab?.close());

const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000);

it('bounds the history, and keeps what is in force', async () => {
  const { prisma } = lab;
  const id = await lab.environment(1, { [runtimeLabel]: 'simulated' });
  for (const agent of await lab.agentsOf(id)) await agent.connect();
  await lab.settle(id);
  const { targetPlanId } = await lab.row(id);
  const plan = await prisma.plan.findUniqueOrThrow({ where: { id: targetPlanId! } });
  // Newer plans than the target never come about; they stand in for a long history.
  const more = Array.from({ length: retention.plansPerEnvironment + 10 }, (_, i) => ({
    ...{ id: `plan_${i}`, environmentId: id, generation: plan.generation + 1 + i },
    ...{ instances: [], actions: [], failures: {} },
  }));
  await prisma.plan.createMany({ data: more });
  const [instance] = await prisma.instance.findMany({ where: { environmentId: id } });
  const { exit: _, logTail: __, certificates: ___, ...plain } = instance!;
  await prisma.instance.createMany({
    data: [
      { ...plain, id: 'ins_old', state: 'removed', removedAt: daysAgo(2) },
      { ...plain, id: 'ins_new', state: 'removed', removedAt: daysAgo(0.5) },
    ],
  });
  await prisma.instanceSpec.createMany({ data: [{ hash: 'unused', spec: {}, createdAt: daysAgo(1) }] });
  const operation = { kind: 'environment.create', target: {}, createdBy: 'key_1', state: 'succeeded' };
  await prisma.operation.create({ data: { ...operation, id: 'op_old', finishedAt: daysAgo(31) } });
  await prisma.idempotencyKey.create({
    data: { key: 'k', principal: 'p', request: 'r', createdAt: daysAgo(2) },
  });
  await prisma.registrationToken.create({ data: { id: 'token_old', tokenHash: 'h', expiresAt: daysAgo(8) } });
  const removed = await lab.environment(1);
  await prisma.environment.update({ where: { id: removed }, data: { removedAt: daysAgo(8) } });

  await prune(prisma);
  await prune(prisma);

  expect(await prisma.plan.count({ where: { environmentId: id } })).toBe(retention.plansPerEnvironment + 1);
  expect(await prisma.plan.count({ where: { id: targetPlanId! } })).toBe(1);
  const left = await prisma.instance.findMany({
    where: { id: { in: ['ins_old', 'ins_new', instance!.id] } },
  });
  expect(left.map((i) => i.id).sort()).toEqual([instance!.id, 'ins_new'].sort());
  expect(await prisma.instanceSpec.count({ where: { hash: 'unused' } })).toBe(0);
  expect(await prisma.instanceSpec.count()).toBe(components.length);
  expect(await prisma.operation.count({ where: { id: 'op_old' } })).toBe(0);
  expect(await prisma.idempotencyKey.count()).toBe(0);
  expect(await prisma.registrationToken.count()).toBe(0);
  expect(await prisma.environment.count({ where: { id: removed } })).toBe(0);
});
