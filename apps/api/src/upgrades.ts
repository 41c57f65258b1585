import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { DomainError } from '@rancher/domain';
import { createAgentSockets, refuse } from './agents/sockets.ts';
import type { Context } from './context.ts';

/** What becomes of requests to upgrade: agents' sockets, and exec, attach, port-forward of the Kubernetes API. */
export function createUpgrades(context: Context) {
  const { prisma, agents, logger } = context;
  const agentSockets = createAgentSockets({ prisma, hub: agents, logger });
  return (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    socket.on('error', () => socket.destroy());
    if (context.lifecycle.stopping) {
      refuse(socket, new DomainError('unavailable', 'The server shuts down.'));
      return;
    }
    if (agentSockets.upgrade(request, socket, head)) return;
    kubernetes(context, request, socket, head).catch((error: unknown) => {
      if (!(error instanceof DomainError)) logger.error({ err: error }, 'upgrade failed');
      refuse(socket, error);
    });
  };
}

async function kubernetes(
  context: Context,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  const principal = await context.auth.key(request.headers.authorization);
  if (!request.url?.startsWith('/k8s/'))
    throw new DomainError('not_found', 'There is nothing to upgrade to here.');
  await context.kubeProxy.upgrade(request, socket, head, principal);
}
