import type { Slice } from '@rancher/contracts';
import type { PrismaClient } from '@rancher/db';
import { contentHash } from '@rancher/domain';
import type { Connections } from './connections.ts';
import { cutSlice, loadHosts, loadLocalHosts, type PlanStore, type SpecStore } from './slices.ts';

/**
 * What of a slice a host acts on. A plan that changes nothing there has another generation and other reasons, and is not
 * sent: with ten hosts, nine of ten would hear of each failure, and tell of it again. What a host was sent keeps its
 * order with all that is sent later, as generations only grow.
 */
function actedOn({ generation: _, planId: _p, stops: _s, specs: _c, instances, ...rest }: Slice) {
  return { ...rest, instances: instances.map(({ reason: _r, ...instance }) => instance) };
}

/** Sends hosts their present slices, as far as they differ from what each was sent last, with the specs it lacks. */
export function createSliceSender(options: {
  prisma: PrismaClient;
  connections: Connections;
  plans: PlanStore;
  specs: SpecStore;
}): (hostIds: string[]) => Promise<void> {
  const { prisma, connections, plans, specs } = options;

  async function send(slice: Slice): Promise<void> {
    const connection = connections.get(slice.hostId);
    const hash = contentHash(actedOn(slice));
    if (connection === undefined || connection.sentSlice === hash) return;
    const used = new Set(slice.instances.map((i) => i.specHash));
    // The agent forgets what its slice no longer names; one that comes again must be sent again.
    for (const h of connection.sentSpecs) if (!used.has(h)) connection.sentSpecs.delete(h);
    const unsent = [...used].filter((h) => !connection.sentSpecs.has(h));
    const found = await specs.get(unsent);
    connection.sentSlice = hash;
    for (const h of found.keys()) connection.sentSpecs.add(h);
    connection.send({ type: 'slice', slice: { ...slice, specs: Object.fromEntries(found) } });
  }

  return async (hostIds) => {
    const held = hostIds.filter((id) => connections.get(id)?.greeted === true);
    if (held.length === 0) return;
    const hosts = await loadHosts(prisma, held);
    const machines = hosts.filter((host) => host.kind === 'machine').map((host) => host.id);
    const localHosts = await loadLocalHosts(prisma, machines);
    for (const host of hosts) {
      const plan = host.environment === null ? undefined : await plans.target(host.environment);
      await send(cutSlice(host, plan, localHosts.get(host.id) ?? []));
    }
  };
}
