import { DomainError } from '@rancher/domain';
import type { App, Context } from '../../../../context.ts';
import { idempotencyHeaders, idParams, problems } from '../../../../http/schemas.ts';
import { askOfHost } from '../../../../intent/host-operations.ts';
import { accepted } from '../../../../intent/operations.ts';
import { caller } from '../../../../plugins/app/authentication.ts';
import { type OperationView, operationSchema, operationView } from '../../operations/schema.ts';
import { findHostOfEnvironment } from '../find.ts';

/** `powerOff` cuts a local host off as by pulling the plug, and it stays off; `powerOn` starts it again with its disk. */
export function powerActions(app: App, context: Context): void {
  for (const [action, power] of [
    ['powerOff', 'off'],
    ['powerOn', 'on'],
  ] as const) {
    app.post(
      `/v1/hosts/:id/actions/${action}`,
      {
        schema: {
          operationId: `${action}Host`,
          tags: ['hosts'],
          summary:
            power === 'off' ? 'Cut a local host off, as by pulling the plug' : 'Switch a local host on again',
          params: idParams,
          headers: idempotencyHeaders,
          response: {
            202: operationSchema,
            ...problems('not_found', 'conflict', 'idempotency_mismatch', 'wrong_host_kind'),
          },
        },
      },
      async (request, reply): Promise<OperationView> => {
        const host = await findHostOfEnvironment(context.prisma, request, request.params.id);
        if (host.kind !== 'local') {
          throw new DomainError(
            'wrong_host_kind',
            `Host ${host.name} is a machine of its own: only a local host's power can be switched from here.`,
          );
        }
        const operation = await askOfHost(context, caller(request), host, {
          kind: `host.${action}`,
          data: { power },
        });
        accepted(reply, operation);
        return operationView(operation);
      },
    );
  }
}
