import type { JoinResponse } from '@rancher/contracts';
import type { Prisma, Queryable, RegistrationToken } from '@rancher/db';
import { DomainError, type HostFacts, newId } from '@rancher/domain';
import { Type } from 'typebox';
import { createFailureLimit } from '../../../auth/failures.ts';
import { hashSecret, newSecret } from '../../../auth/keys.ts';
import type { App, Context } from '../../../context.ts';
import { anything, closed, labels, problems } from '../../../http/schemas.ts';
import { withFreeName } from '../../../intent/unique.ts';

interface Joining {
  name: string;
  labels: Record<string, string>;
  facts: HostFacts;
}

/** Exchanges a registration token, once for each use, for a host's own credential. The token is the authentication. */
export function join(app: App, context: Context): void {
  const failures = createFailureLimit();
  app.post(
    '/v1/agent/join',
    {
      config: { auth: 'public' },
      schema: {
        operationId: 'joinHost',
        tags: ['hosts'],
        summary: 'Join a host with a registration token (for agents)',
        security: [],
        body: closed({
          token: Type.String({ minLength: 8, maxLength: 256 }),
          name: Type.String({
            minLength: 1,
            maxLength: 253,
            description:
              'Host name; made a DNS label. With a token for one host, that host has its name already',
          }),
          labels,
          facts: anything('What the agent found on it'),
        }),
        response: {
          201: Type.Object({ hostId: Type.String(), credential: Type.String({ description: 'Shown once' }) }),
          ...problems('token_expired', 'token_spent', 'name_taken'),
        },
      },
    },
    async (request, reply): Promise<JoinResponse> => {
      const { token, name, ...rest } = request.body;
      const joining = { ...rest, name: asLabel(name) };
      try {
        const joined = await exchange(context, token, joining as unknown as Joining);
        reply.code(201);
        return joined;
      } catch (error) {
        const refused = error instanceof DomainError && error.code === 'unauthenticated';
        const seconds = refused ? failures.failed(request.ip) : 0;
        if (seconds === 0) throw error;
        reply.header('retry-after', String(seconds));
        throw new DomainError('rate_limited', `Too many unknown tokens; try again in ${seconds} s.`);
      }
    },
  );
}

function exchange({ prisma }: Context, token: string, joining: Joining): Promise<JoinResponse> {
  const credential = newSecret('rh');
  return withFreeName(joining.name, () =>
    prisma.$transaction(async (tx) => {
      const row = await useToken(tx, token);
      const hostId = row.hostId === null ? await newHost(tx, row, joining) : row.hostId;
      const { count } = await tx.host.updateMany({
        where: { id: hostId, removedAt: null },
        data: {
          credentialHash: hashSecret(credential),
          facts: joining.facts as unknown as Prisma.InputJsonObject,
          address: joining.facts.address ?? null,
          resourceVersion: { increment: 1 },
        },
      });
      if (count === 0) throw new DomainError('token_expired', 'The host of this token was removed.');
      return { hostId, credential };
    }),
  );
}

/** Counts one use of a token. The row's lock makes the last use go to one host only. */
async function useToken(tx: Queryable, token: string): Promise<RegistrationToken> {
  const tokenHash = hashSecret(token);
  await tx.$executeRaw`SELECT 1 FROM "RegistrationToken" WHERE "tokenHash" = ${tokenHash} FOR UPDATE`;
  const row = await tx.registrationToken.findUnique({ where: { tokenHash } });
  if (row === null) throw new DomainError('unauthenticated', 'The registration token is unknown.');
  if (row.revokedAt !== null) throw new DomainError('token_expired', 'The registration token was revoked.');
  if (row.uses >= row.maxUses) throw new DomainError('token_spent', 'The registration token was used up.');
  if (row.expiresAt.getTime() <= Date.now()) {
    throw new DomainError(
      'token_expired',
      `The registration token expired at ${row.expiresAt.toISOString()}.`,
    );
  }
  await assertEnvironmentStays(tx, row.environmentId);
  await tx.registrationToken.update({ where: { id: row.id }, data: { uses: { increment: 1 } } });
  return row;
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

async function newHost(tx: Queryable, token: RegistrationToken, joining: Joining): Promise<string> {
  const id = newId('host');
  const name = token.environmentId === null ? await freeMachineName(tx, joining.name) : joining.name;
  await tx.host.create({
    data: { id, environmentId: token.environmentId, kind: 'machine', name, labels: joining.labels },
  });
  // Remembered for a one-use token: whoever made it can tell which host came of it.
  if (token.maxUses === 1)
    await tx.registrationToken.update({ where: { id: token.id }, data: { hostId: id } });
  return id;
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
