import type { IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { PrismaClient } from '@rancher/db';
import { DomainError } from '@rancher/domain';
import type { AgentHub, Agents } from './hub.ts';

/** Protocol of an upgrade between replicas: raw bytes to one component of a host. */
export const tunnelProtocol = 'rancher-tunnel';
export const relayPaths = {
  ask: (hostId: string) => `/internal/v1/hosts/${hostId}/ask`,
  look: (hostId: string) => `/internal/v1/hosts/${hostId}/look`,
  tunnel: (hostId: string, target: string) => `/internal/v1/hosts/${hostId}/tunnels/${target}`,
} as const;

const timeoutMs = 12_000;

export interface RelayOptions {
  hub: AgentHub;
  prisma: PrismaClient;
  /** URL of this replica: what `Host.connectedTo` says of the hosts that it holds. */
  self: string;
  /** Key of role `system`, which replicas show to each other. */
  systemKey: string;
  caPem: string;
}

/**
 * Agents wherever their socket is: those that this replica holds, and those that another one holds and is asked for.
 * A replica that is asked looks no further than itself.
 */
export function createRelay(options: RelayOptions): Agents {
  const { hub, prisma, self } = options;

  /** @throws DomainError `host_unreachable` when no replica holds the host's socket */
  async function holder(hostId: string): Promise<string> {
    const host = await prisma.host.findUnique({ where: { id: hostId }, select: { connectedTo: true } });
    if (host?.connectedTo == null || host.connectedTo === self) {
      throw new DomainError('host_unreachable', 'The agent of the host is not connected.');
    }
    return host.connectedTo;
  }

  const remembered = createMemory((hostId) =>
    holder(hostId)
      .then((replica) => call(options, replica, relayPaths.look(hostId), {}))
      .then(result<boolean>)
      .catch(() => false),
  );

  return {
    holds: hub.holds,
    isSilent: (hostId) => (hub.holds(hostId) ? hub.isSilent(hostId) : remembered.wasSilent(hostId)),
    answers: (hostId) => (hub.holds(hostId) ? hub.answers(hostId) : remembered.look(hostId)),
    async ask(hostId, request) {
      if (hub.holds(hostId)) return hub.ask(hostId, request);
      return result(await call(options, await holder(hostId), relayPaths.ask(hostId), request));
    },
    async openTunnel(hostId, target) {
      if (hub.holds(hostId)) return hub.openTunnel(hostId, target);
      return dial(options, await holder(hostId), relayPaths.tunnel(hostId, target));
    },
  };
}

async function result<T>(answer: IncomingMessage): Promise<T> {
  return (JSON.parse(await text(answer)) as { result: T }).result;
}

/** As long as a replica goes by what it hears of an agent that it holds itself (ms). */
const rememberedMs = 1_000;
const forgottenMs = 60_000;

/** Looks whether hosts are there, not more often than once a second for each. */
function createMemory(look: (hostId: string) => Promise<boolean>) {
  const looks = new Map<string, { at: number; answer: Promise<boolean>; silent: boolean }>();
  return {
    look(hostId: string): Promise<boolean> {
      const last = looks.get(hostId);
      if (last !== undefined && Date.now() - last.at < rememberedMs) return last.answer;
      const now = { at: Date.now(), answer: look(hostId), silent: last?.silent ?? false };
      looks.set(hostId, now);
      now.answer.then((there) => {
        now.silent = !there;
        // A host that was removed leaves nothing.
        setTimeout(() => looks.get(hostId) === now && looks.delete(hostId), forgottenMs).unref();
      });
      return now.answer;
    },
    wasSilent: (hostId: string) => looks.get(hostId)?.silent ?? false,
  };
}

function call(
  { systemKey, caPem }: RelayOptions,
  base: string,
  path: string,
  body: object,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest(new URL(path, base), {
      method: 'POST',
      ca: caPem,
      headers: { authorization: `Bearer ${systemKey}`, 'content-type': 'application/json' },
      signal: AbortSignal.timeout(timeoutMs),
    });
    request.on('error', (error) => reject(unreachable(error)));
    request.on('response', (answer) => {
      if (answer.statusCode === 200) return resolve(answer);
      answer.resume();
      reject(unreachable(new Error(`replica ${base} answers ${answer.statusCode}`)));
    });
    request.end(JSON.stringify(body));
  });
}

function dial({ systemKey, caPem }: RelayOptions, base: string, path: string): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest(new URL(path, base), {
      ca: caPem,
      agent: false,
      headers: { authorization: `Bearer ${systemKey}`, connection: 'Upgrade', upgrade: tunnelProtocol },
      timeout: timeoutMs,
    });
    request.on('timeout', () => request.destroy(new Error(`replica ${base} is silent`)));
    request.on('error', (error) => reject(unreachable(error)));
    request.on('response', (answer) => {
      answer.resume();
      reject(unreachable(new Error(`replica ${base} answers ${answer.statusCode}`)));
    });
    request.on('upgrade', (_answer, socket, head) => {
      socket.setTimeout(0);
      if (head.length > 0) socket.unshift(head);
      socket.on('error', () => {});
      resolve(socket);
    });
    request.end();
  });
}

function unreachable(cause: Error): DomainError {
  return new DomainError('host_unreachable', 'The replica that holds the host does not answer.', { cause });
}
