import type { JoinRequest, JoinResponse } from '@rancher/contracts';
import { type Host, type Prisma, type Queryable, type RegistrationToken, recordEvents } from '@rancher/db';
import { DomainError, newId, withFoundLabels } from '@rancher/domain';
import { hashSecret, newSecret } from '../auth/keys.ts';
import { assertUsable } from '../auth/registration-token.ts';
import type { Context } from '../context.ts';
import { withFreeName } from '../intent/unique.ts';

interface Joined {
  answer: JoinResponse;
  environmentId: string | null;
}

/**
 * Makes a machine a host, or says that it is one already: a credential that still holds goes on as the same host, and no
 * use of the token is counted.
 * @throws DomainError `unauthenticated`, `token_revoked`, `token_spent`, `token_expired`, `host_elsewhere` (it is a host
 * of another environment), `name_taken`
 */
export function joinHost({ prisma }: Pick<Context, 'prisma'>, request: JoinRequest): Promise<Joined> {
  const joining = { ...request, name: asLabel(request.name) };
  return withFreeName(joining.name, () =>
    prisma.$transaction(async (tx) => {
      const token = await lockToken(tx, joining.token);
      const known = await hostOf(tx, joining.credential);
      if (known !== null) return rejoin(tx, known, token, joining);
      assertUsable(token);
      return joinAnew(tx, token, joining);
    }),
  );
}

/** The row's lock makes the last use go to one host only. */
async function lockToken(tx: Queryable, token: string): Promise<RegistrationToken | null> {
  const tokenHash = hashSecret(token);
  await tx.$executeRaw`SELECT 1 FROM "RegistrationToken" WHERE "tokenHash" = ${tokenHash} FOR UPDATE`;
  return tx.registrationToken.findUnique({ where: { tokenHash } });
}

async function hostOf(tx: Queryable, credential: string | undefined): Promise<Host | null> {
  if (credential === undefined) return null;
  return tx.host.findFirst({ where: { credentialHash: hashSecret(credential), removedAt: null } });
}

/** The credential is what proves it; the token only says where it was meant to go. */
async function rejoin(
  tx: Queryable,
  host: Host,
  token: RegistrationToken | null,
  joining: JoinRequest,
): Promise<Joined> {
  const elsewhere = token !== null && token.environmentId !== host.environmentId;
  const another = token !== null && token.uses === 0 && token.hostId !== null && token.hostId !== host.id;
  if (elsewhere || another) {
    const where = host.environmentId === null ? 'no environment' : await environmentName(tx, host);
    throw new DomainError(
      'host_elsewhere',
      `This machine is host ${host.name} of ${where} already, and the token is for ${elsewhere ? 'another environment' : 'another host'}.`,
    );
  }
  await recordJoin(tx, host, joining, {});
  await recordEvents(tx, [
    {
      environmentId: host.environmentId,
      hostId: host.id,
      regarding: { kind: 'Host', id: host.id, name: host.name },
      type: 'Normal',
      reason: 'HostRejoined',
      message: `${host.name} joined again, and is the same host`,
    },
  ]);
  return answerOf(tx, host, joining.credential!);
}

async function joinAnew(tx: Queryable, token: RegistrationToken, joining: JoinRequest): Promise<Joined> {
  await assertEnvironmentStays(tx, token.environmentId);
  await tx.registrationToken.update({ where: { id: token.id }, data: { uses: { increment: 1 } } });
  const credential = newSecret('rh');
  const host =
    token.hostId === null
      ? await newHost(tx, token, joining)
      : await tx.host.findFirst({ where: { id: token.hostId, removedAt: null } });
  if (host === null) throw new DomainError('token_expired', 'The host of this token was removed.');
  await recordJoin(tx, host, joining, {
    credentialHash: hashSecret(credential),
    // Whatever machine had it before: this one has it now.
    fingerprint: joining.facts.machineFingerprint ?? null,
  });
  return answerOf(tx, host, credential);
}

/**
 * What is known of the host by joining, written as one: no plan is made for it before, so none without its labels.
 * Labels of the command are set over those that are there, as whoever ran it again gave them again.
 */
async function recordJoin(
  tx: Queryable,
  host: Host,
  { facts, labels }: JoinRequest,
  more: Prisma.HostUpdateInput,
): Promise<void> {
  const all = withFoundLabels({ ...(host.labels as Record<string, string>), ...labels }, facts);
  await tx.host.update({
    where: { id: host.id },
    data: {
      labels: all,
      ...(host.joinedLabels === null ? { joinedLabels: all } : {}),
      facts: facts as unknown as Prisma.InputJsonObject,
      address: facts.address ?? null,
      resourceVersion: { increment: 1 },
      ...more,
    },
  });
}

async function answerOf(tx: Queryable, host: Host, credential: string): Promise<Joined> {
  const environmentName = host.environmentId === null ? null : await nameOf(tx, host.environmentId);
  return {
    answer: { hostId: host.id, credential, name: host.name, environmentName },
    environmentId: host.environmentId,
  };
}

async function environmentName(tx: Queryable, host: Host): Promise<string> {
  return `environment ${(await nameOf(tx, host.environmentId!)) ?? host.environmentId}`;
}

async function nameOf(tx: Queryable, id: string): Promise<string | null> {
  const row = await tx.environment.findUnique({ where: { id }, select: { name: true } });
  return row?.name ?? null;
}

async function assertEnvironmentStays(tx: Queryable, environmentId: string | null): Promise<void> {
  if (environmentId === null) return;
  const environment = await tx.environment.findUnique({
    where: { id: environmentId },
    select: { desiredState: true },
  });
  if (environment === null || environment.desiredState === 'removed') {
    throw new DomainError('token_expired', 'The environment of this token is gone.');
  }
}

async function newHost(tx: Queryable, token: RegistrationToken, joining: JoinRequest): Promise<Host> {
  const id = newId('host');
  const name = token.environmentId === null ? await freeMachineName(tx, joining.name) : joining.name;
  const host = await tx.host.create({
    data: { id, environmentId: token.environmentId, kind: 'machine', name },
  });
  // Remembered for a one-use token: whoever made it can tell which host came of it.
  if (token.maxUses === 1)
    await tx.registrationToken.update({ where: { id: token.id }, data: { hostId: id } });
  return host;
}

/** Machines of no environment often share a host name; nothing depends on theirs. */
async function freeMachineName(tx: Queryable, wanted: string): Promise<string> {
  const rows = await tx.host.findMany({
    where: { environmentId: null, removedAt: null },
    select: { name: true },
  });
  const taken = new Set(rows.map((row) => row.name));
  if (!taken.has(wanted)) return wanted;
  for (let n = 2; ; n++) if (!taken.has(`${wanted}-${n}`)) return `${wanted}-${n}`;
}

/** The first label of a host name, with what a DNS label may hold. */
function asLabel(hostName: string): string {
  const label = hostName
    .toLowerCase()
    .split('.')[0]!
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 40)
    .replace(/^-+|-+$/g, '');
  return label === '' ? 'host' : label;
}
