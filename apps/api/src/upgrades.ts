import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { StreamTarget } from '@rancher/contracts';
import { DomainError } from '@rancher/domain';
import { splice } from '@rancher/streams';
import { tunnelProtocol } from './agents/relay.ts';
import { createAgentSockets, refuse } from './agents/sockets.ts';
import type { Context } from './context.ts';

const tunnelPath =
  /^\/internal\/v1\/hosts\/([A-Za-z0-9_]{1,64})\/tunnels\/(kube-apiserver|etcd|etcd-metrics)$/;

/**
 * What becomes of requests to upgrade: agents' sockets, streams for other replicas, and exec, attach, port-forward of the
 * Kubernetes API.
 */
export function createUpgrades(context: Context) {
  const { prisma, hub, logger } = context;
  const agentSockets = createAgentSockets({
    prisma,
    hub,
    logger,
    self: context.replicaUrl,
    caPem: context.tls.caPem,
  });
  return (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    socket.on('error', () => socket.destroy());
    if (context.lifecycle.stopping) {
      refuse(socket, new DomainError('unavailable', 'The server shuts down.'));
      return;
    }
    if (agentSockets.upgrade(request, socket, head)) return;
    withKey(context, request, socket, head).catch((error: unknown) => {
      if (!(error instanceof DomainError)) logger.error({ err: error }, 'upgrade failed');
      refuse(socket, error);
    });
  };
}

async function withKey(
  context: Context,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  const principal = await context.auth.key(request.headers.authorization);
  const tunnel = tunnelPath.exec(request.url ?? '');
  if (tunnel !== null && principal.role === 'system') return relay(context, tunnel, socket, head);
  if (!request.url?.startsWith('/k8s/'))
    throw new DomainError('not_found', 'There is nothing to upgrade to here.');
  await context.kubeProxy.upgrade(request, socket, head, principal);
}

/** For another replica: a stream to a host whose agent is held here. */
async function relay(
  { hub }: Context,
  [, hostId, target]: RegExpExecArray,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  const tunnel = await hub.openTunnel(hostId!, target as StreamTarget);
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${tunnelProtocol}\r\n\r\n`,
  );
  if (head.length > 0) tunnel.write(head);
  splice(socket, tunnel);
}
