import { agentTimings } from '@rancher/contracts';
import type { PrismaClient } from '@rancher/db';
import { DomainError } from '@rancher/domain';
import { recordSharedIdentity } from '@rancher/reconcilers';

interface Identified {
  id: string;
  environmentId: string | null;
  removedAt: Date | null;
}

/**
 * Whose credential it is. Where another machine is connected with the same one (a disk was cloned), the one that is
 * connected stays, and the newcomer is refused: two machines that take turns as one member of etcd would destroy it.
 * @param fingerprint of the machine that dials; undefined where hosts share a machine
 * @throws DomainError `unauthenticated`, `identity_replaced`, `identity_in_use`
 */
export async function identify(
  prisma: PrismaClient,
  credentialHash: string,
  fingerprint: string | string[] | undefined,
): Promise<Identified> {
  const host = await prisma.host.findUnique({ where: { credentialHash } });
  if (host === null) throw await unknown(prisma, credentialHash);
  const freshMs = agentTimings.silentAfterSeconds * 1000;
  const heard = host.lastSeenAt !== null && Date.now() - host.lastSeenAt.getTime() < freshMs;
  const another =
    typeof fingerprint === 'string' && host.fingerprint !== null && host.fingerprint !== fingerprint;
  if (another && heard && host.connectionId !== null && host.removedAt === null) {
    await recordSharedIdentity(prisma, host.id);
    throw new DomainError(
      'identity_in_use',
      `Another machine is connected as host ${host.name}: this one has a copy of its disk. ` +
        'Uninstall the agent here and join it as a host of its own, or replace the identity of the host ' +
        `(rancher host replace-identity ${host.name}) if this machine is to be it.`,
    );
  }
  return host;
}

async function unknown(prisma: PrismaClient, credentialHash: string): Promise<DomainError> {
  const former = await prisma.host.findUnique({ where: { replacedHash: credentialHash } });
  return former === null
    ? new DomainError('unauthenticated', "The host's credential is unknown.")
    : new DomainError(
        'identity_replaced',
        `The identity of host ${former.name} was replaced: this machine's credential has ended. ` +
          'Run the command that came with it here, if this machine is to be that host, or uninstall the agent.',
      );
}
