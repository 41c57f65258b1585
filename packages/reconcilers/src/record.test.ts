import { newId, type Plan } from '@rancher/domain';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { recordInventory } from './inventory.ts';
import { Lab } from './lab.ts';
import { recordPlan } from './record.ts';
import { runtimeLabel } from './simulated.ts';
import { loadWorld, type World } from './world.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
}, 60_000);
afterAll(() => lab?.close());

const renderNothing = () => {
  throw new Error('nothing is new');
};

/** The next plan of a world, without some instances. */
function without({ plan, environment }: World, left: string[]): Plan {
  const instances = plan!.instances.filter((i) => !left.includes(i.id));
  return {
    ...{ id: newId('plan'), environmentId: environment.id, parentId: plan!.id, instances, actions: [] },
    ...{ generation: plan!.generation + 1, failures: {}, createdAt: new Date().toISOString() },
  };
}

it('leaves an instance removed whose end was reported after the world of the plan was read', async () => {
  const id = await lab.environment(1, { [runtimeLabel]: 'simulated' });
  const [agent] = await lab.agentsOf(id);
  await agent!.connect();
  await lab.settle(id);
  const first = (await loadWorld(lab.prisma, id))!;
  const { id: leaving } = first.instances.find((i) => i.service === 'kube-scheduler')!;
  expect(await recordPlan(lab.prisma, first, without(first, [leaving]), renderNothing)).toBe(true);

  const read = (await loadWorld(lab.prisma, id))!;
  expect(read.instances.find((i) => i.id === leaving)).toMatchObject({ state: 'stopping' });
  const { generation, instances } = await agent!.inventory();
  const rest = instances.filter((i) => i.id !== leaving);
  await recordInventory(lab.prisma, agent!.id, { generation, instances: rest });
  expect(await recordPlan(lab.prisma, read, without(read, []), renderNothing)).toBe(true);

  const row = await lab.prisma.instance.findUniqueOrThrow({ where: { id: leaving } });
  expect(row).toMatchObject({ state: 'removed', removedAt: expect.any(Date) });
});
