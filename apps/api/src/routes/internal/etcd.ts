import { notFound } from '../../auth/principal.ts';
import type { App, Context } from '../../context.ts';
import { idParams } from '../../http/schemas.ts';
import { lookAtEtcd } from '../../streams/etcd.ts';

/** For the worker (role `system`): an environment's etcd as its members tell. Not in the document. */
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
}
