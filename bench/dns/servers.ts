import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createArtifactStore, sharedCacheDir } from '@rancher/artifacts';
import { coredns, freePort, type TestKubernetes } from '@rancher/testing';

const root = new URL('../..', import.meta.url).pathname;

/** A server under test, held to one core, as its peer is. */
export interface Server {
  port: number;
  /** `VmRSS` and `RssAnon`, in MB. */
  memory(): { resident: number; own: number };
  stop(): void;
}

const serverCore = '0';

function started(command: string, args: string[], port: number, env: Record<string, string>): Server {
  const child: ChildProcess = spawn('taskset', ['-c', serverCore, command, ...args], {
    stdio: 'ignore',
    env: { ...process.env, ...env },
  });
  return {
    port,
    memory: () => {
      const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
      const megabytes = (field: string) =>
        Number(new RegExp(`^${field}:\\s*(\\d+)`, 'm').exec(status)?.[1]) / 1024;
      return { resident: megabytes('VmRSS'), own: megabytes('RssAnon') };
    },
    stop: () => void child.kill('SIGKILL'),
  };
}

/** Ours as hosts run it: the bundle, with the flags of its room. */
export async function startOurs(kubernetes: TestKubernetes, dir: string): Promise<Server> {
  const port = await freePort();
  const configuration = {
    listen: ['127.0.0.1'],
    port,
    httpPort: await freePort(),
    allow: ['127.0.0.0/8'],
    domain: 'cluster.local',
    serverAddress: '10.43.0.10',
    cidrs: ['10.42.0.0/16', '10.43.0.0/16'],
    kubernetes: { server: kubernetes.server, ...kubernetes.admin },
    nameservers: [],
    stubDomains: {},
    snapshotPath: join(dir, 'snapshot.json'),
    threads: 1,
  };
  await writeFile(join(dir, 'config.json'), JSON.stringify(configuration));
  const args = [
    '--max-semi-space-size=2',
    join(root, 'dist/programs/dns.mjs'),
    `--config=${join(dir, 'config.json')}`,
  ];
  return started(process.execPath, args, port, { MALLOC_ARENA_MAX: '1', UV_THREADPOOL_SIZE: '2' });
}

/** CoreDNS as kubeadm sets it up: no watch of pods, TTL 30, its cache in front. */
export async function startCoredns(kubernetes: TestKubernetes, dir: string): Promise<Server> {
  const store = createArtifactStore({
    cacheDir: sharedCacheDir(),
  });
  await store.ensure(coredns);
  const port = await freePort();
  const { caPath, certPath, keyPath } = kubernetes.admin;
  const kubeconfig = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'c', cluster: { server: kubernetes.server, 'certificate-authority': caPath } }],
    users: [{ name: 'u', user: { 'client-certificate': certPath, 'client-key': keyPath } }],
    contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'c',
  };
  await writeFile(join(dir, 'kubeconfig'), JSON.stringify(kubeconfig));
  await writeFile(
    join(dir, 'Corefile'),
    `.:${port} {
  bind 127.0.0.1
  errors
  kubernetes cluster.local in-addr.arpa ip6.arpa {
    kubeconfig ${dir}/kubeconfig
    pods insecure
    fallthrough in-addr.arpa ip6.arpa
    ttl 30
  }
  cache 30 {
    disable success cluster.local
    disable denial cluster.local
  }
  loadbalance
}
`,
  );
  return started(store.filePath(coredns, 'coredns'), ['-conf', join(dir, 'Corefile')], port, {
    GOMAXPROCS: '1',
  });
}
