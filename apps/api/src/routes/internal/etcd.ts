import { DomainError } from '@rancher/domain';
import { Type } from 'typebox';
import { notFound } from '../../auth/principal.ts';
import type { App, Context } from '../../context.ts';
import { closed, idParams } from '../../http/schemas.ts';
import { lookAtEtcd } from '../../streams/etcd.ts';
import { changeEtcdMember } from '../../streams/etcd-members.ts';

const change = closed({
  kind: Type.Union([Type.Literal('add'), Type.Literal('promote'), Type.Literal('remove')]),
  name: Type.String(),
  peerUrl: Type.String(),
});

/** For the worker (role `system`): an environment's etcd as its members tell, and changes of them. Not in the document. */
export function etcd(app: App, context: Context): void {
  app.get(
    '/internal/v1/environments/:id/etcd',
    { config: { auth: 'system' }, schema: { hide: true, params: idParams } },
    async (request) => {
      const { id } = request.params;
      const hostIds = await context.hostsOf.find(id, 'etcd');
      const hosts = await context.prisma.host.findMany({
        where: { id: { in: hostIds }, environmentId: id },
        select: { id: true, name: true },
      });
      if (hosts.length === 0) throw notFound('etcd of environment', id);
      return lookAtEtcd(context.upstreams, id, hosts);
    },
  );
  app.post(
    '/internal/v1/environments/:id/etcd/members',
    { config: { auth: 'system' }, schema: { hide: true, params: idParams, body: change } },
    async (request) => {
      const { id } = request.params;
      const hostIds = await context.hostsOf.find(id, 'etcd');
      if (hostIds.length === 0) throw notFound('etcd of environment', id);
      try {
        return await changeEtcdMember(context.upstreams, id, hostIds, request.body);
      } catch (error) {
        if (error instanceof DomainError) throw error;
        // What etcd says is for the one who waits for it, and no secret.
        throw new DomainError('environment_not_ready', (error as Error).message, { cause: error });
      }
    },
  );
}
