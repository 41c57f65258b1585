import {
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type RequestOptions,
  type ServerResponse,
} from 'node:http';
import type { Duplex } from 'node:stream';
import { readOnlyGroup } from '@rancher/components';
import { DomainError } from '@rancher/domain';
import { splice } from '@rancher/streams';
import type { Agents } from '../agents/hub.ts';
import { type KeyPrincipal, maySee, notFound } from '../auth/principal.ts';
import type { HostsOf } from './hosts-of.ts';
import { rawHead } from './raw-head.ts';
import type { Upstreams } from './upstream.ts';

const path = /^\/k8s\/environments\/([A-Za-z0-9_]{1,64})(\/[^#]*|\?.*)?$/;

/** Of one connection only, or saying who calls: what the API server hears of the latter is ours alone to say. */
const dropped = new Set([
  'authorization',
  'cookie',
  'connection',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'upgrade',
  'host',
  'forwarded',
  'expect',
]);
const droppedPrefixes = ['impersonate-', 'x-remote-', 'x-forwarded-'];
/** What says on whose behalf somebody acts as another user, for the audit log of the API server. */
const actingKey = 'impersonate-extra-io.rancher%2fkey';

export interface KubeProxy {
  /**
   * Sends a request on to the environment's API server, and its answer back, both as they come. `onAnswer` is called
   * before the first byte of it; errors before that are thrown, later ones end the response.
   */
  forward(
    request: IncomingMessage,
    response: ServerResponse,
    principal: KeyPrincipal,
    onAnswer: () => void,
  ): Promise<void>;
  /** The same for a request to upgrade: exec, attach, port-forward, over SPDY or WebSocket. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, principal: KeyPrincipal): Promise<void>;
}

/**
 * The Kubernetes API of an environment, reached through the tunnel that a host's agent dials. The server calls as itself
 * and impersonates the caller, or whom the caller asks to act as, so that RBAC and the audit log see who it is.
 */
export function createKubeProxy(options: {
  agents: Pick<Agents, 'holds' | 'isSilent' | 'answers'>;
  upstreams: Upstreams;
  hostsOf: HostsOf;
  /** How long a write may be unanswered (ms). */
  answeredWithinMs?: number;
}): KubeProxy {
  const { agents, upstreams, hostsOf, answeredWithinMs = 75_000 } = options;

  /**
   * Those whose agent this replica holds before others, and those that fell silent last. The first is one that is there at
   * this moment: through the tunnel of a host that is gone nothing would come back, on a kept connection not even an error.
   */
  async function inOrder(hostIds: readonly string[]): Promise<string[]> {
    const rank = (id: string) => (agents.isSilent(id) ? 2 : agents.holds(id) ? 0 : 1);
    const sorted = [...hostIds].sort((a, b) => rank(a) - rank(b));
    if (sorted.length < 2) return sorted;
    for (const id of sorted) if (await agents.answers(id)) return [id, ...sorted.filter((o) => o !== id)];
    return sorted;
  }

  async function prepare(request: IncomingMessage, principal: KeyPrincipal, agent = upstreams.agent) {
    const { environmentId, rest } = target(request.url ?? '', principal);
    const hostIds = await hostsOf.find(environmentId, 'kube-apiserver');
    const [first, ...others] = await inOrder(hostIds);
    if (first === undefined) {
      throw new DomainError('environment_not_ready', 'The environment has no API server yet.');
    }
    const through = (hostId: string): Way => ({
      options: {
        method: request.method,
        path: rest,
        headers: upstreamHeaders(request, principal),
        agent: agent(environmentId, hostId, 'kube-apiserver'),
        // Of the request line only; the connection is the agent's.
        host: 'kubernetes',
        setHost: false,
      },
      isThere: () => agents.answers(hostId),
      answeredWithinMs: isEndless(request.method, rest) ? undefined : answeredWithinMs,
    });
    return { first: through(first), others: others.map(through) };
  }

  return {
    async forward(request, response, principal, onAnswer) {
      const { first, others } = await prepare(request, principal);
      await exchange([first, ...others], request, response, onAnswer);
    },

    async upgrade(request, socket, head, principal) {
      // On a connection of its own: the API server gives up one whose upgrade it refuses, without saying so in the answer,
      // and what was asked on it next would never be answered.
      const { first } = await prepare(request, principal, upstreams.agentForOnce);
      const headers = {
        ...first.options.headers,
        connection: 'Upgrade',
        upgrade: request.headers.upgrade ?? '',
      };
      await new Promise<void>((resolve, reject) => {
        const upstream = httpRequest({ ...first.options, headers });
        socket.on('error', () => upstream.destroy());
        socket.on('close', () => upstream.destroy());
        upstream.on('error', (error) => reject(unreachable(error)));
        upstream.on('upgrade', (answer, far, farHead) => {
          socket.write(rawHead(answer));
          if (farHead.length > 0) socket.write(farHead);
          if (head.length > 0) far.write(head);
          splice(socket, far);
          resolve();
        });
        upstream.on('response', (answer) => {
          socket.write(rawHead(answer, 'close'));
          answer.pipe(socket);
          resolve();
        });
        upstream.end();
      });
    },
  };
}

/** To one API server. */
interface Way {
  options: RequestOptions;
  /** Whether its host is there at this moment. */
  isThere(): Promise<boolean>;
  /** Undefined: as long as it likes. */
  answeredWithinMs: number | undefined;
}

/**
 * What the API server answers when it likes: watches, logs, and what it passes on itself. To everything else it says
 * something within a minute (`--request-timeout`), so a write that has heard nothing for longer was lost on its way.
 */
function isEndless(method: string | undefined, path: string): boolean {
  return method === 'GET' || method === 'HEAD' || /\/proxy(?:[/?]|$)/.test(path);
}

/**
 * Whether it is asked if one API server is ready: that it is not, as a member of etcd beside it that is cut off from its
 * leader makes it, says nothing of the environment's API while there are others.
 */
function isReadiness(path: string | null | undefined): boolean {
  return /^\/readyz(?:[/?]|$)/.test(path ?? '');
}

/** How long one API server may take to be connected with while there is another, or to answer before its host is looked for (ms). */
const patienceMs = 1_000;

/**
 * Asks the first API server that can be connected with. What was sent to one is not sent to another, as it may have been
 * done; except for what only reads, which leaves a host that is gone before it has answered.
 */
function exchange(
  ways: readonly Way[],
  request: IncomingMessage,
  response: ServerResponse,
  onAnswer: () => void,
): Promise<void> {
  const [way, ...others] = ways;
  const reads = request.method === 'GET' || request.method === 'HEAD';
  return new Promise((resolve, reject) => {
    let connected = false;
    let silent = false;
    const upstream = httpRequest(way!.options, (answer) => {
      stopWaiting();
      const { socket, statusCode = 0 } = answer;
      const failed = statusCode >= 500;
      // Whoever is asked next over a connection of its own is an API server that the balancer knows to be ready.
      if (failed) answer.once('end', () => socket.destroy());
      if (failed && others.length > 0 && isReadiness(way!.options.path)) {
        answer.resume();
        return resolve(exchange(others, request, response, onAnswer));
      }
      onAnswer();
      passOn(answer, request, response);
    });
    const look = async () => {
      if (connected && (!reads || (await way!.isThere()) || response.headersSent)) return;
      silent = connected;
      upstream.destroy(new Error(connected ? 'its host fell silent' : 'it takes too long to connect'));
    };
    const patience = others.length === 0 ? undefined : setInterval(look, patienceMs);
    const within = way!.answeredWithinMs;
    const late = () => upstream.destroy(new Error(`no answer within ${within} ms`));
    const limit = within === undefined ? undefined : setTimeout(late, within);
    const stopWaiting = () => {
      clearInterval(patience);
      clearTimeout(limit);
    };
    response.on('close', () => {
      stopWaiting();
      upstream.destroy();
      resolve();
    });
    upstream.on('error', (error) => {
      stopWaiting();
      // Nobody waits for an answer any more, nor would hear of the failure of another try.
      if (response.destroyed) return resolve();
      if (response.headersSent) return response.destroy();
      const again = !connected || reads;
      // A kept connection may have been closed just as it was taken: then nothing was done, so it is asked again.
      if (upstream.reusedSocket && reads && !silent) resolve(exchange(ways, request, response, onAnswer));
      else if (again && others.length > 0) resolve(exchange(others, request, response, onAnswer));
      else reject(unreachable(error));
    });
    upstream.once('socket', () => {
      connected = true;
      if (!reads) request.pipe(upstream);
    });
    if (reads) upstream.end();
  });
}

function passOn(answer: IncomingMessage, request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(
    answer.statusCode ?? 502,
    answer.statusMessage ?? '',
    responseHeaders(answer.headers, request.url ?? ''),
  );
  response.flushHeaders(); // a watch may say nothing for long
  answer.pipe(response);
  answer.on('error', () => response.destroy());
}

/** Environment and the rest of a path below `/k8s/environments/`. @throws DomainError `not_found` */
function target(url: string, principal: KeyPrincipal): { environmentId: string; rest: string } {
  const match = path.exec(url);
  const environmentId = match?.[1];
  if (environmentId === undefined || !maySee(principal, environmentId)) {
    throw notFound('environment', environmentId ?? '');
  }
  const rest = match?.[2] ?? '/';
  return { environmentId, rest: rest.startsWith('/') ? rest : `/${rest}` };
}

function upstreamHeaders(request: IncomingMessage, principal: KeyPrincipal): OutgoingHttpHeaders {
  const kept = Object.fromEntries(
    Object.entries(request.headers).filter(
      ([name]) => !dropped.has(name) && !droppedPrefixes.some((prefix) => name.startsWith(prefix)),
    ),
  );
  return { ...kept, host: 'kubernetes', ...identity(request, principal) };
}

/**
 * Whom the API server takes the caller for: themselves, or whom they ask to act as (`kubectl --as`), which is all of what
 * they sent, each group a header of its own.
 * @throws DomainError `forbidden` for a key that may only read: as another user it could do more
 */
function identity({ headersDistinct }: IncomingMessage, principal: KeyPrincipal): OutgoingHttpHeaders {
  const others = Object.entries(headersDistinct).filter(([name]) => name.startsWith('impersonate-'));
  if (others.length === 0) {
    return {
      'impersonate-user': `rancher:${principal.id}`,
      'impersonate-group': principal.role === 'read-only' ? readOnlyGroup : 'system:masters',
    };
  }
  if (principal.role === 'read-only') {
    throw new DomainError(
      'forbidden',
      'A read-only key may not act as another user: leave out --as, or use another key.',
    );
  }
  return { ...Object.fromEntries(others), [actingKey]: principal.id };
}

/** A redirect of the API server's (`…/pods/NAME/proxy` to `…/proxy/`) knows only its own paths: it gets ours before them. */
function responseHeaders(headers: IncomingHttpHeaders, url: string): IncomingHttpHeaders {
  const { connection: _c, 'keep-alive': _k, ...kept } = headers;
  const id = path.exec(url)?.[1];
  if (id !== undefined && /^\/(?!\/)/.test(kept.location ?? '')) {
    kept.location = `/k8s/environments/${id}${kept.location}`;
  }
  return kept;
}

function unreachable(error: Error): Error {
  if (error instanceof DomainError) return error;
  return new DomainError('host_unreachable', 'The API server of the environment does not answer.', {
    cause: error,
  });
}
