import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createArtifactStore, sharedCacheDir } from '@rancher/artifacts';
import { type Authority, createAuthority, generateKeyPair, issueCertificate } from '@rancher/pki';
import { freePort } from './ports.ts';
import { until } from './until.ts';

const kubernetes = { name: 'kubernetes', version: '1.37.2' };
const etcd = { name: 'etcd', version: '3.7.3' };

export interface ClientFiles {
  caPath: string;
  certPath: string;
  keyPath: string;
}

/** A real etcd and kube-apiserver on loopback: objects, and nobody who acts on them. */
export interface TestKubernetes {
  /** `https://127.0.0.1:<port>` of the API server. */
  server: string;
  /** Of a user with all rights. */
  admin: ClientFiles;
  /** Writes a client certificate into files of that name. Without a group that has them, the user has no rights. */
  client(name: string, user: string, groups?: string[]): Promise<ClientFiles>;
  /** A request as admin. Throws for a status that is not 2xx. */
  request<T = unknown>(method: string, path: string, body?: unknown): Promise<T>;
  /** Kills the API server at once. */
  killApiServer(): Promise<void>;
  startApiServer(): Promise<void>;
  etcdctl(...args: string[]): Promise<void>;
  stop(): Promise<void>;
}

/** Starts it in a folder of its own; `stop` ends the processes and removes the folder. */
export async function startKubernetes(options: { serviceCidr?: string } = {}): Promise<TestKubernetes> {
  const store = createArtifactStore({
    cacheDir: sharedCacheDir(),
  });
  await store.ensureAll([etcd, kubernetes]);
  const dir = await mkdtemp(join(tmpdir(), 'rancher-kubernetes-'));
  const cluster = new Cluster(dir, options.serviceCidr ?? '10.43.0.0/16', {
    etcd: store.filePath(etcd, 'etcd'),
    etcdctl: store.filePath(etcd, 'etcdctl'),
    'kube-apiserver': store.filePath(kubernetes, 'kube-apiserver'),
  });
  try {
    await cluster.start();
    return cluster;
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

class Cluster implements TestKubernetes {
  readonly #dir: string;
  readonly #serviceCidr: string;
  readonly #programs: Record<'etcd' | 'etcdctl' | 'kube-apiserver', string>;
  readonly #running = new Map<string, ChildProcess>();
  #authority!: Authority;
  #etcdUrl = '';
  #port = 0;
  #agent!: https.Agent;
  admin!: ClientFiles;

  constructor(
    dir: string,
    serviceCidr: string,
    programs: Record<'etcd' | 'etcdctl' | 'kube-apiserver', string>,
  ) {
    this.#dir = dir;
    this.#serviceCidr = serviceCidr;
    this.#programs = programs;
  }

  get server(): string {
    return `https://127.0.0.1:${this.#port}`;
  }

  async start(): Promise<void> {
    this.#authority = await createAuthority({ commonName: 'test' });
    await mkdir(join(this.#dir, 'pki'));
    await writeFile(join(this.#dir, 'pki/ca.crt'), this.#authority.certificatePem);
    const serviceAccount = generateKeyPair();
    await writeFile(join(this.#dir, 'pki/sa.key'), serviceAccount.privateKeyPem);
    await writeFile(join(this.#dir, 'pki/sa.pub'), serviceAccount.publicKeyPem);
    await this.#certificate('server', { commonName: 'kube-apiserver', usages: ['server'] });
    this.admin = await this.client('admin', 'admin', ['system:masters']);
    const [clientPort, peerPort] = [await freePort(), await freePort()];
    this.#etcdUrl = `http://127.0.0.1:${clientPort}`;
    this.#port = await freePort();
    this.#spawn('etcd', [
      `--data-dir=${this.#dir}/etcd`,
      `--listen-client-urls=${this.#etcdUrl}`,
      `--advertise-client-urls=${this.#etcdUrl}`,
      `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
      `--initial-advertise-peer-urls=http://127.0.0.1:${peerPort}`,
      `--initial-cluster=default=http://127.0.0.1:${peerPort}`,
      '--unsafe-no-fsync',
      '--log-level=error',
    ]);
    await this.startApiServer();
  }

  async client(name: string, user: string, groups: string[] = []): Promise<ClientFiles> {
    await this.#certificate(name, { commonName: user, organizations: groups, usages: ['client'] });
    const file = (end: string) => join(this.#dir, 'pki', end);
    return { caPath: file('ca.crt'), certPath: file(`${name}.crt`), keyPath: file(`${name}.key`) };
  }

  async request<T>(method: string, path: string, body?: unknown): Promise<T> {
    const { status, text } = await this.#send(method, path, body);
    if (status < 200 || status >= 300) throw new Error(`${method} ${path}: ${status} ${text}`);
    return (text.startsWith('{') ? JSON.parse(text) : text) as T;
  }

  async startApiServer(): Promise<void> {
    const pki = (file: string) => `${this.#dir}/pki/${file}`;
    this.#spawn('kube-apiserver', [
      `--etcd-servers=${this.#etcdUrl}`,
      '--bind-address=127.0.0.1',
      '--advertise-address=127.0.0.1',
      // What is advertised may not be loopback; nobody dials it here.
      '--endpoint-reconciler-type=none',
      `--secure-port=${this.#port}`,
      `--tls-cert-file=${pki('server.crt')}`,
      `--tls-private-key-file=${pki('server.key')}`,
      `--client-ca-file=${pki('ca.crt')}`,
      '--authorization-mode=RBAC',
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${pki('sa.pub')}`,
      `--service-account-signing-key-file=${pki('sa.key')}`,
      `--service-cluster-ip-range=${this.#serviceCidr}`,
      '--disable-admission-plugins=ServiceAccount',
    ]);
    await until('the API server is ready', async () => (await this.#send('GET', '/readyz')).status === 200, {
      withinMs: 90_000,
    });
  }

  async killApiServer(): Promise<void> {
    await this.#kill('kube-apiserver');
  }

  async etcdctl(...args: string[]): Promise<void> {
    const child = spawn(this.#programs.etcdctl, [`--endpoints=${this.#etcdUrl}`, ...args], {
      stdio: 'ignore',
    });
    const code = await new Promise((resolve) => child.once('exit', resolve));
    if (code !== 0) throw new Error(`etcdctl ${args.join(' ')} ended with ${code}`);
  }

  async stop(): Promise<void> {
    this.#agent?.destroy();
    await this.#kill('kube-apiserver');
    await this.#kill('etcd');
    await rm(this.#dir, { recursive: true, force: true });
  }

  async #certificate(
    name: string,
    params: { commonName: string; organizations?: string[]; usages: ('server' | 'client')[] },
  ): Promise<void> {
    const { publicKeyPem, privateKeyPem } = generateKeyPair();
    const { certificatePem } = await issueCertificate(this.#authority, {
      publicKeyPem,
      dnsNames: params.usages.includes('server') ? ['localhost'] : [],
      ipAddresses: params.usages.includes('server') ? ['127.0.0.1'] : [],
      ...params,
    });
    await writeFile(join(this.#dir, `pki/${name}.key`), privateKeyPem);
    await writeFile(join(this.#dir, `pki/${name}.crt`), certificatePem);
    if (name === 'admin') {
      this.#agent = new https.Agent({
        keepAlive: true,
        ca: this.#authority.certificatePem,
        key: privateKeyPem,
        cert: certificatePem,
      });
    }
  }

  #send(method: string, path: string, body?: unknown): Promise<{ status: number; text: string }> {
    return new Promise((resolve, reject) => {
      const sent = body === undefined ? '' : JSON.stringify(body);
      const headers = {
        // Node gives the body of a DELETE no length by itself.
        'content-length': Buffer.byteLength(sent),
        'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json',
      };
      const request = https.request(new URL(path, this.server), { method, agent: this.#agent, headers });
      request.once('error', reject);
      request.once('response', (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.once('error', reject);
        response.once('end', () => resolve({ status: response.statusCode ?? 0, text }));
      });
      request.end(sent);
    });
  }

  #spawn(name: 'etcd' | 'kube-apiserver', args: string[]): void {
    const debug = process.env.RANCHER_TEST_DEBUG === undefined ? 'ignore' : 'inherit';
    this.#running.set(
      name,
      spawn(this.#programs[name], args, { stdio: ['ignore', debug, debug], cwd: this.#dir }),
    );
  }

  async #kill(name: string): Promise<void> {
    const child = this.#running.get(name);
    this.#running.delete(name);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  }
}
