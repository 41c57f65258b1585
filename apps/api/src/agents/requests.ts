import { resolveSecretFile } from '@rancher/components';
import type { AgentRequest, SignedCertificate } from '@rancher/contracts';
import type { PrismaClient } from '@rancher/db';
import { DomainError, type InstanceSpec } from '@rancher/domain';
import { issueCertificate } from '@rancher/pki';
import { createRegistrationToken } from '../intent/registration-tokens.ts';
import type { EnvironmentSecrets } from './secrets.ts';
import type { PlanStore, SpecStore } from './slices.ts';

const certificateDays = 365;
/** The machine starts the local host's agent at once, so its token need not live long. */
const localHostTokenSeconds = 600;

interface Asking {
  prisma: PrismaClient;
  plans: PlanStore;
  specs: SpecStore;
  secrets: EnvironmentSecrets;
}

/**
 * Answers what an agent asks, and only what its host's own slice entitles it to: the spec says what is signed and which
 * secrets a host gets, the agent gives no more than its public key.
 * @throws DomainError that may be shown to the agent
 */
export async function answer(asking: Asking, hostId: string, request: AgentRequest): Promise<unknown> {
  switch (request.method) {
    case 'signCertificate':
      return signCertificate(asking, hostId, request);
    case 'secret':
      return secret(asking, hostId, request);
    case 'localHostToken':
      return localHostToken(asking, hostId, request.hostId);
    default:
      throw new DomainError('invalid_request', 'This server does not know that request.');
  }
}

async function signCertificate(
  asking: Asking,
  hostId: string,
  request: AgentRequest & { method: 'signCertificate' },
): Promise<SignedCertificate> {
  const { environmentId, spec } = await entitled(asking, hostId, request.instanceId);
  const wanted = spec.certificates.find((c) => c.certPath === request.certPath);
  if (wanted === undefined)
    throw new DomainError('forbidden', `The instance has no certificate ${request.certPath}.`);
  const authority = await asking.secrets.authority(environmentId, wanted.authority);
  const { certificatePem, notAfter } = await issueCertificate(authority, {
    publicKeyPem: request.publicKeyPem,
    commonName: wanted.commonName,
    organizations: wanted.organizations,
    dnsNames: wanted.dnsNames,
    ipAddresses: wanted.ipAddresses,
    usages: wanted.usages,
    days: certificateDays,
  });
  return { certificatePem, caPem: authority.certificatePem, notAfter: notAfter.toISOString() };
}

async function secret(
  asking: Asking,
  hostId: string,
  request: AgentRequest & { method: 'secret' },
): Promise<{ content: string }> {
  const { environmentId, spec } = await entitled(asking, hostId, request.instanceId);
  const wanted = spec.secrets.find((file) => file.path === request.path);
  if (wanted === undefined)
    throw new DomainError('forbidden', `The instance has no secret file ${request.path}.`);
  const secrets = await asking.secrets.all(environmentId);
  try {
    return { content: resolveSecretFile(wanted.secret, secrets) };
  } catch (error) {
    asking.secrets.forget(environmentId);
    throw new DomainError('environment_not_ready', 'The environment does not have that secret yet.', {
      cause: error,
    });
  }
}

/** The spec of an instance of this very host in the target plan. */
async function entitled(
  { prisma, plans, specs }: Asking,
  hostId: string,
  instanceId: string,
): Promise<{ environmentId: string; spec: InstanceSpec }> {
  const refused = new DomainError('forbidden', 'The instance is not of this host in the present plan.');
  const host = await prisma.host.findUnique({
    where: { id: hostId },
    select: { environment: { select: { id: true, targetPlanId: true } } },
  });
  if (host?.environment == null) throw refused;
  const plan = await plans.target(host.environment);
  const planned = plan.instances.find((i) => i.id === instanceId && i.hostId === hostId);
  if (planned === undefined) throw refused;
  const spec = (await specs.get([planned.specHash])).get(planned.specHash);
  if (spec === undefined) throw refused;
  return { environmentId: host.environment.id, spec };
}

/** A one-use token bound to one local host, for the machine that makes it. An earlier one is void from then on. */
async function localHostToken({ prisma }: Asking, machineId: string, hostId: string) {
  const host = await prisma.host.findFirst({
    where: { id: hostId, machineId, kind: 'local', removedAt: null },
    select: { id: true, name: true, environmentId: true },
  });
  if (host?.environmentId == null)
    throw new DomainError('forbidden', 'That local host is not of this machine.');
  const { environmentId } = host;
  const { token } = await prisma.$transaction(async (tx) => {
    await tx.registrationToken.updateMany({
      where: { hostId, revokedAt: null, uses: 0 },
      data: { revokedAt: new Date() },
    });
    return createRegistrationToken(tx, {
      environmentId,
      hostId,
      description: `local host ${host.name}`,
      maxUses: 1,
      expiresInSeconds: localHostTokenSeconds,
    });
  });
  return { token, environmentId };
}
