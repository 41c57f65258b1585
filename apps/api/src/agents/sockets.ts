import { type IncomingMessage, STATUS_CODES } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Duplex } from 'node:stream';
import { agentPaths, machineHeader } from '@rancher/contracts';
import type { PrismaClient } from '@rancher/db';
import { DomainError, errorCodes } from '@rancher/domain';
import { splice } from '@rancher/streams';
import type { Logger } from '@rancher/telemetry';
import { WebSocketServer } from 'ws';
import { hashSecret } from '../auth/keys.ts';
import { databaseIsGone } from '../http/database-gone.ts';
import { rawHead } from '../streams/raw-head.ts';
import type { AgentHub } from './hub.ts';
import { identify } from './identity.ts';

const maxControlPayload = 8 * 1024 * 1024;
const maxStreamPayload = 4 * 1024 * 1024;
/** Says that a replica has passed a stream on, so that it goes no further. */
const passedOn = 'x-rancher-passed-on';
const streamPath = /^\/v1\/agent\/streams\/([0-9a-f]{32})$/;

export interface AgentSockets {
  /** Takes an upgrade request of an agent. False: the path is not one of agents. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): boolean;
}

/** The WebSockets that agents dial: control, and streams. Authenticated before the upgrade. */
export function createAgentSockets(options: {
  prisma: PrismaClient;
  hub: AgentHub;
  logger: Logger;
  /** URL of this replica, and the authority of all. */
  self: string;
  caPem: string;
}): AgentSockets {
  const { prisma, hub, logger, self, caPem } = options;
  const control = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: maxControlPayload,
  });
  const streams = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: maxStreamPayload,
  });
  /** Which host a credential was of when its control socket opened: streams need no look into the database. */
  const known = new Map<string, string>();

  async function connect(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const hash = hashSecret(credentialOf(request));
    const host = await identify(prisma, hash, request.headers[machineHeader]);
    control.handleUpgrade(request, socket, head, (ws) => {
      known.set(hash, host.id);
      ws.on('close', () => hub.holds(host.id) || known.delete(hash));
      hub.accept(ws, { id: host.id, environmentId: host.environmentId, gone: host.removedAt !== null });
    });
  }

  async function stream(id: string, request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const hash = hashSecret(credentialOf(request));
    const hostId = known.get(hash);
    if (hostId === undefined || !hub.expectsStream(id, hostId)) return elsewhere(hash, request, socket, head);
    streams.handleUpgrade(request, socket, head, (ws) => {
      if (!hub.acceptStream(id, hostId, ws)) ws.close(1008, 'nobody waits for this stream');
    });
  }

  /** A load balancer may lead a stream to another replica than the one that waits for it: it is passed on as it is. */
  async function elsewhere(
    hash: string,
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
  ): Promise<void> {
    const host = await prisma.host.findUnique({
      where: { credentialHash: hash },
      select: { connectedTo: true },
    });
    if (host === null) throw new DomainError('unauthenticated', "The host's credential is unknown.");
    if (host.connectedTo === null || host.connectedTo === self || passedOn in request.headers) {
      throw new DomainError('not_found', 'Nobody waits for that stream.');
    }
    const upstream = httpsRequest(new URL(request.url!, host.connectedTo), {
      ca: caPem,
      agent: false,
      headers: { ...request.headers, [passedOn]: 'true' },
    });
    upstream.on('error', (error) => refuse(socket, error));
    upstream.on('response', () =>
      refuse(socket, new DomainError('not_found', 'Nobody waits for that stream.')),
    );
    upstream.on('upgrade', (answer, far, farHead) => {
      socket.write(rawHead(answer));
      if (farHead.length > 0) socket.write(farHead);
      splice(socket, far);
    });
    upstream.end();
    if (head.length > 0) socket.unshift(head);
  }

  return {
    upgrade(request, socket, head) {
      const path = request.url?.split('?')[0] ?? '';
      const streamId = streamPath.exec(path)?.[1];
      if (path !== agentPaths.connect && streamId === undefined) return false;
      const done =
        streamId === undefined ? connect(request, socket, head) : stream(streamId, request, socket, head);
      done.catch((error: unknown) => {
        if (!(error instanceof DomainError) && !databaseIsGone(error))
          logger.error({ err: error }, 'upgrade failed');
        refuse(socket, error);
      });
      return true;
    },
  };
}

function credentialOf(request: IncomingMessage): string {
  const match = /^Bearer (\S{8,256})$/i.exec(request.headers.authorization ?? '');
  if (match === null) throw new DomainError('unauthenticated', 'Send "Authorization: Bearer <credential>".');
  return match[1]!;
}

/** Answers an upgrade that is not to be, and hangs up. */
export function refuse(socket: Duplex, error: unknown): void {
  const status = error instanceof DomainError ? errorCodes[error.code] : 503;
  const detail = error instanceof DomainError ? error.message : 'Try again shortly.';
  const code = error instanceof DomainError ? error.code : 'unavailable';
  const body = JSON.stringify({ type: `urn:rancher:error:${code}`, status, code, detail });
  socket.on('error', () => {});
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: application/problem+json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}
