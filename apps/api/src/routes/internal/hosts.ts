import { peerPort, type ServerRequest } from '@rancher/contracts';
import { Type } from 'typebox';
import { notFound } from '../../auth/principal.ts';
import type { App, Context } from '../../context.ts';
import { closed, idParams } from '../../http/schemas.ts';

const body = Type.Union([
  closed({
    method: Type.Literal('logTail'),
    service: Type.String(),
    lines: Type.Integer({ minimum: 1, maximum: 5000 }),
  }),
  closed({ method: Type.Literal('probeHost'), address: Type.String(), port: Type.Integer() }),
]);

/** For other replicas (role `system`), of hosts that this replica holds: asks the agent, looks whether it is there. Not in the document. */
export function hostRelay(app: App, { hub }: Context): void {
  app.post(
    '/internal/v1/hosts/:id/ask',
    { config: { auth: 'system' }, schema: { hide: true, params: idParams, body } },
    async (request) => ({ result: await hub.ask(request.params.id, request.body as ServerRequest) }),
  );
  app.post(
    '/internal/v1/hosts/:id/look',
    { config: { auth: 'system' }, schema: { hide: true, params: idParams, body: closed({}) } },
    async (request) => ({ result: await hub.answers(request.params.id) }),
  );
}

/**
 * For the worker (role `system`): whether one host reaches another of the same environment. Not in the document.
 * 503 when the one that is asked does not answer.
 */
export function peerProbe(app: App, { prisma, agents }: Context): void {
  app.post(
    '/internal/v1/hosts/:id/peers/:peerId/probe',
    {
      config: { auth: 'system' },
      schema: { hide: true, params: closed({ id: Type.String(), peerId: Type.String() }) },
    },
    async (request) => {
      const { id, peerId } = request.params;
      const rows = await prisma.host.findMany({
        where: { id: { in: [id, peerId] }, removedAt: null, environmentId: { not: null } },
        select: { id: true, environmentId: true, address: true },
      });
      const [one, peer] = [rows.find((h) => h.id === id), rows.find((h) => h.id === peerId)];
      if (one === undefined || peer?.address == null || one.environmentId !== peer.environmentId)
        throw notFound('peer', peerId);
      return agents.ask(id, { method: 'probeHost', address: peer.address, port: peerPort });
    },
  );
}
