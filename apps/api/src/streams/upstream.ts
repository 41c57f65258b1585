import { type AgentOptions, Agent as HttpAgent } from 'node:http';
import type { Duplex } from 'node:stream';
import { connect, type TLSSocket } from 'node:tls';
import type { StreamTarget } from '@rancher/contracts';
import type { AuthorityName } from '@rancher/domain';
import { generateKeyPair, issueCertificate } from '@rancher/pki';
import type { Agents } from '../agents/hub.ts';
import type { EnvironmentSecrets } from '../agents/secrets.ts';

/** How the server presents itself to the components of an environment. */
const serverCommonName = 'rancher-server';
const certificateDays = 7;
const handshakeTimeoutMs = 10_000;
const idleMs = 60_000;
const maxIdleSockets = 8;

/** Who may call a component: its authority, and the name its certificate has. Null: whoever is on its host, without TLS. */
const components = {
  'kube-apiserver': { authority: 'kubernetes', serverName: 'kubernetes', organizations: ['system:masters'] },
  etcd: { authority: 'etcd', serverName: 'localhost', organizations: [] },
  'etcd-metrics': null,
} as const satisfies Record<StreamTarget, Caller | null>;

/** Node keeps only sockets alive, not any stream: a tunnel without TLS is none. */
type SecureTarget = Exclude<StreamTarget, 'etcd-metrics'>;

interface Caller {
  authority: AuthorityName;
  serverName: string;
  organizations: readonly string[];
}

interface ClientCertificate {
  cert: string;
  key: string;
  ca: string;
  renewAt: number;
}

export interface Upstreams {
  /** A keep-alive agent whose connections are TLS, through the tunnel to one host's component. */
  agent(environmentId: string, hostId: string, target: SecureTarget): HttpAgent;
  /** One for a single request, whose connection nobody uses again: with TLS where the component has it. */
  agentForOnce(environmentId: string, hostId: string, target: StreamTarget): HttpAgent;
  close(): void;
}

/** Connections to the components of environments, as many as are used at once, and used again. */
export function createUpstreams(options: {
  tunnels: Pick<Agents, 'openTunnel'>;
  secrets: EnvironmentSecrets;
}): Upstreams {
  const { tunnels, secrets } = options;
  const agents = new Map<string, HttpAgent>();
  const certificates = new Map<string, ClientCertificate>();

  /** Made in memory for a week, and again at two thirds of it. */
  async function certificate(
    environmentId: string,
    target: StreamTarget,
    caller: Caller,
  ): Promise<ClientCertificate> {
    const id = `${environmentId}/${target}`;
    const known = certificates.get(id);
    if (known !== undefined && Date.now() < known.renewAt) return known;
    const authority = await secrets.authority(environmentId, caller.authority);
    const keys = generateKeyPair();
    const { certificatePem, notAfter } = await issueCertificate(authority, {
      publicKeyPem: keys.publicKeyPem,
      commonName: serverCommonName,
      organizations: [...caller.organizations],
      usages: ['client'],
      days: certificateDays,
    });
    const now = Date.now();
    const made = {
      cert: certificatePem,
      key: keys.privateKeyPem,
      ca: authority.certificatePem,
      renewAt: now + ((notAfter.getTime() - now) * 2) / 3,
    };
    certificates.set(id, made);
    return made;
  }

  async function dial(environmentId: string, hostId: string, target: StreamTarget): Promise<Duplex> {
    const caller: Caller | null = components[target];
    if (caller === null) return unencrypted(await tunnels.openTunnel(hostId, target));
    const { cert, key, ca } = await certificate(environmentId, target, caller);
    const tunnel = await tunnels.openTunnel(hostId, target);
    return handshake(tunnel, { cert, key, ca, servername: caller.serverName });
  }

  return {
    agent(environmentId, hostId, target) {
      const id = `${hostId}/${target}`;
      const known = agents.get(id);
      if (known !== undefined) return known;
      const kept = { keepAlive: true, maxFreeSockets: maxIdleSockets, timeout: idleMs };
      const made = new TunnelAgent(() => dial(environmentId, hostId, target), kept);
      agents.set(id, made);
      return made;
    },
    agentForOnce: (environmentId, hostId, target) =>
      new TunnelAgent(() => dial(environmentId, hostId, target)),
    close() {
      for (const agent of agents.values()) agent.destroy();
      agents.clear();
    },
  };
}

class TunnelAgent extends HttpAgent {
  readonly #dial: () => Promise<Duplex>;

  constructor(dial: () => Promise<Duplex>, options?: AgentOptions) {
    super(options);
    this.#dial = dial;
  }

  override createConnection(
    _options: object,
    done?: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    this.#dial().then(
      (socket) => done?.(null, socket),
      (error: Error) => done?.(error, undefined as never),
    );
  }
}

function unencrypted(tunnel: Duplex): Duplex {
  tunnel.on('error', () => {}); // its user hears of it by the close
  return tunnel;
}

/** TLS on a stream. @throws the stream's or the handshake's error, or when it takes longer than 10 s */
function handshake(
  tunnel: Duplex,
  options: { cert: string; key: string; ca: string; servername: string },
): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ socket: tunnel, ALPNProtocols: ['http/1.1'], ...options });
    const fail = (error: Error) => {
      clearTimeout(timer);
      socket.destroy();
      tunnel.destroy();
      reject(error);
    };
    const timer = setTimeout(() => fail(new Error('TLS handshake timed out')), handshakeTimeoutMs);
    tunnel.once('error', fail);
    const closed = () => fail(new Error('the stream was closed'));
    tunnel.once('end', closed);
    tunnel.once('close', closed);
    socket.once('error', fail);
    socket.once('secureConnect', () => {
      clearTimeout(timer);
      tunnel.off('error', fail);
      tunnel.off('end', closed);
      tunnel.off('close', closed);
      // TLS does not notice by itself that the stream below it broke; one that ends in order is read to its end.
      tunnel.on('error', (error) => socket.destroy(error));
      socket.off('error', fail);
      socket.on('error', () => {}); // its user hears of it by the close
      resolve(socket);
    });
  });
}
