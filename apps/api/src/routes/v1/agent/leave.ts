import { agentPaths } from '@rancher/contracts';
import { type Host, recordEvents } from '@rancher/db';
import { DomainError } from '@rancher/domain';
import { Type } from 'typebox';
import type { App, Context } from '../../../context.ts';
import { closed, problems } from '../../../http/schemas.ts';
import { createOperation } from '../../../intent/operations.ts';
import { wake } from '../../../intent/wake.ts';
import { isLastEtcdMember } from '../hosts/remove.ts';

/** A host gives itself up: its agent is being uninstalled. What follows is what `DELETE /v1/hosts/:id` begins. */
export function leave(app: App, context: Context): void {
  app.post(
    agentPaths.leave,
    {
      config: { auth: 'host' },
      schema: {
        operationId: 'leaveHost',
        tags: ['hosts'],
        summary: 'Remove the host whose credential this is (for agents)',
        body: closed({
          force: Type.Optional(
            Type.Boolean({
              description: "Although it has the environment's only etcd member, and so its data",
            }),
          ),
        }),
        response: {
          202: { type: 'null', description: 'Begun: the agent is told what to stop' },
          ...problems('conflict', 'unknown_field'),
        },
      },
    },
    async (request, reply) => {
      const host = await context.prisma.host.findUniqueOrThrow({ where: { id: request.principal!.id } });
      if (host.environmentId === null) {
        throw new DomainError('conflict', 'A machine that makes local hosts is removed at the server.');
      }
      if (request.body.force !== true && (await isLastEtcdMember(context, host))) {
        throw new DomainError(
          'conflict',
          `${host.name} has its environment's only etcd member: with it, the environment's data is lost.`,
        );
      }
      await giveUp(context, host, host.environmentId);
      await wake(context, host.environmentId);
      reply.code(202);
      return null;
    },
  );
}

async function giveUp({ prisma }: Context, host: Host, environmentId: string): Promise<void> {
  const target = { kind: 'Host', id: host.id, name: host.name } as const;
  await prisma.$transaction(async (tx) => {
    const { count } = await tx.host.updateMany({
      where: { id: host.id, desiredState: 'active' },
      data: {
        desiredState: 'removed',
        generation: { increment: 1 },
        resourceVersion: { increment: 1 },
      },
    });
    if (count === 0) return;
    await createOperation(tx, { id: host.id }, 'host.remove', environmentId, target);
    await recordEvents(tx, [
      {
        environmentId,
        hostId: host.id,
        regarding: target,
        type: 'Normal',
        reason: 'HostLeft',
        message: `${host.name} leaves: its agent is being uninstalled on the machine`,
      },
    ]);
  });
}
