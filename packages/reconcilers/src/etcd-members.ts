import { etcdDataDir, etcdPeerUrl } from '@rancher/components';
import type { PrismaClient } from '@rancher/db';
import type { EtcdMemberState, EtcdMemberStep } from '@rancher/domain';
import { foundingMembers, type PlannerInput } from '@rancher/planner';
import type { EtcdView } from './cluster.ts';
import type { HostRow, MemberRow, World } from './world.ts';

/** The members as specs are rendered from them: the rows, or the first members that this plan is about to record. */
export function memberRows(world: World, input: Omit<PlannerInput, 'specHash'>): MemberRow[] {
  if (world.members.length > 0) return world.members;
  const members = foundingMembers(input);
  const steps = members.map((m) => ({
    kind: 'found' as const,
    memberId: m.id,
    hostId: m.hostId,
    reason: '',
  }));
  return steps.map((step) => newRow(world, step, steps));
}

const stateAfter = {
  found: 'voter',
  add: 'adding',
  promote: 'promoting',
  remove: 'removing',
} as const satisfies Record<EtcdMemberStep['kind'], EtcdMemberState>;

/**
 * Records what is to be done with etcd's members before it is done, so that whoever comes after a crash goes on with it.
 * The first members need no call: their plan may follow at once.
 * @returns false when the world must be looked at again: calls were recorded, or somebody else recorded other ones
 */
export async function recordMemberSteps(
  prisma: PrismaClient,
  world: World,
  steps: readonly EtcdMemberStep[],
): Promise<boolean> {
  if (steps.length === 0) return true;
  const environmentId = world.environment.id;
  return prisma.$transaction(async (tx) => {
    // The lock makes two workers one after the other; the second finds other members than it had planned for.
    await tx.$executeRaw`SELECT 1 FROM "Environment" WHERE "id" = ${environmentId} FOR UPDATE`;
    const rows = await tx.etcdMember.findMany({ where: { environmentId }, orderBy: { id: 'asc' } });
    const known = (all: readonly { id: string; state: string }[]) =>
      all.map((m) => `${m.id} ${m.state}`).join();
    if (known(rows) !== known(world.members)) return false;
    for (const step of steps) {
      const { kind, memberId: id, reason } = step;
      if (kind === 'found' || kind === 'add') {
        await tx.etcdMember.create({ data: { ...newRow(world, step, steps), environmentId } });
      } else {
        await tx.etcdMember.update({
          where: { id },
          data: { state: stateAfter[kind], reason, lastError: null },
        });
      }
    }
    return steps.every((s) => s.kind === 'found');
  });
}

function newRow(world: World, step: EtcdMemberStep, all: readonly EtcdMemberStep[]): MemberRow {
  const founds = step.kind === 'found';
  return {
    id: step.memberId,
    hostId: step.hostId,
    state: stateAfter[step.kind],
    voting: founds,
    dataDir: etcdDataDir(step.memberId),
    initialCluster: founds ? all.map((s) => peerOf(world, s.hostId).entry).join() : '',
    initialClusterState: founds ? 'new' : 'existing',
    recoveredFrom: null,
    appliedIndex: null,
    appliedAt: null,
    reason: step.reason,
    lastError: null,
  };
}

/** What members were seen to hold: should quorum be lost, it tells what may be lost with those that do not answer. */
export async function recordApplied(
  prisma: PrismaClient,
  environmentId: string,
  { members }: EtcdView,
): Promise<void> {
  const seen = members.flatMap(({ hostId, appliedIndex }) =>
    hostId === undefined || appliedIndex === undefined ? [] : [{ hostId, appliedIndex }],
  );
  if (seen.length === 0) return;
  await prisma.$executeRaw`
    UPDATE "EtcdMember" m SET "appliedIndex" = r."appliedIndex", "appliedAt" = now()
    FROM jsonb_to_recordset(${JSON.stringify(seen)}::jsonb) AS r("hostId" text, "appliedIndex" bigint)
    WHERE m."environmentId" = ${environmentId} AND m."hostId" = r."hostId"`;
}

/** A host as etcd knows it. @throws Error for one whose address is not known */
export function peerOf(world: { hosts: readonly HostRow[] }, hostId: string) {
  const host = world.hosts.find((h) => h.id === hostId);
  const address = host?.address ?? host?.facts?.address;
  if (host === undefined || address === undefined)
    throw new Error(`The address of host ${hostId} is not known`);
  const url = etcdPeerUrl(address);
  return { name: host.name, url, entry: `${host.name}=${url}` };
}
