import { type Host, type Prisma, type PrismaClient, recordEvents } from '@rancher/db';
import {
  type ConditionInput,
  type EventInput,
  findCondition,
  type HostFacts,
  setCondition,
  withFoundLabels,
} from '@rancher/domain';
import { changeHost, conditionsOf } from './host-row.ts';
import { json } from './world.ts';

type Before = Pick<Host, 'id' | 'name' | 'environmentId' | 'address' | 'fingerprint'>;

const shared: ConditionInput = {
  type: 'IdentityUnique',
  status: 'False',
  reason: 'IdentityShared',
  message:
    'Another machine came with the credential of this host, as after its disk was cloned. It was refused, and this one ' +
    'stays. Uninstall the agent there and join that machine as a host of its own; if it is to be this host instead, ' +
    'replace the identity. This is forgotten when the host connects anew',
};

/** A machine was refused, as another one is connected with the same credential. */
export async function recordSharedIdentity(prisma: PrismaClient, hostId: string): Promise<void> {
  let about: Before | undefined;
  const changed = await changeHost(prisma, hostId, (host) => {
    const conditions = conditionsOf(host);
    if (findCondition(conditions, 'IdentityUnique')?.status === 'False') return null;
    about = host;
    return { conditions: json(setCondition(conditions, shared, new Date())) };
  });
  if (!changed || about === undefined) return;
  await recordEvents(prisma, [
    {
      ...regarding(about),
      type: 'Warning',
      reason: 'HostIdentityShared',
      message: `Another machine came with the credential of ${about.name}, and was refused: was its disk cloned?`,
    },
  ]);
}

/** What of a host's row follows from its facts besides the facts: its machine, and the labels that were found. */
export function factColumns(host: Host, facts: HostFacts): Prisma.HostUpdateManyMutationInput {
  const labels = withFoundLabels(host.labels as Record<string, string>, facts);
  return {
    facts: json(facts),
    address: facts.address,
    labels,
    ...(host.joinedLabels === null ? { joinedLabels: labels } : {}),
    ...(facts.machineFingerprint === undefined ? {} : { fingerprint: facts.machineFingerprint }),
  };
}

/** Whoever says hello was not refused: there is nobody else with its credential now. */
export function uniqueIdentity(facts: HostFacts): ConditionInput[] {
  if (facts.machineFingerprint === undefined) return [];
  const message = 'No other machine is connected with its credential';
  return [{ type: 'IdentityUnique', status: 'True', reason: 'Unique', message }];
}

/** The story of a host that came back elsewhere: at another address, or as another machine. */
export function movedEvents(before: Before, facts: HostFacts): EventInput[] {
  const moves: string[] = [];
  if (before.address !== null && before.address !== facts.address) {
    moves.push(
      `at ${facts.address} instead of ${before.address}: its certificates, the address of its Node and of its etcd member follow`,
    );
  }
  const now = facts.machineFingerprint;
  if (before.fingerprint !== null && now !== undefined && before.fingerprint !== now) {
    moves.push('as another machine: its disk was moved, or its hardware changed');
  }
  if (moves.length === 0) return [];
  const message = `${before.name} came back ${moves.join('; ')}`;
  return [{ ...regarding(before), type: 'Normal', reason: 'HostMoved', message }];
}

function regarding({ id, name, environmentId }: Before) {
  return { environmentId, hostId: id, regarding: { kind: 'Host', id, name } };
}
