import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { components, systemObjects } from '@rancher/components';
import { hostPaths } from '@rancher/domain';
import { cgroupVersion } from './cgroups.ts';
import { type KubeClient, kubeClient, nodeReady, until } from './kube.ts';
import { apply } from './objects.ts';
import { address, contextOf, hostName, Stack } from './stack.ts';

/** What the outer part asks of the part that runs inside the host's namespaces. */
export interface Assignment {
  mode: 'create' | 'heal' | 'hold';
  kubernetesVersion: string;
  cgroupRoot: string;
  artifacts: string;
  /** Folder on the machine that holds the host's /var/lib, /var/log and /run. */
  folder: string;
  samples: number;
  programVersions: typeof globalThis.rancherProgramVersions;
  /** Start as the rooms' `after` say, not all at once. */
  inOrder: boolean;
}

export type Result = CreateSample | Record<string, number[]>;
/** Milliseconds since the first process was started. */
export interface CreateSample {
  readyzMs: number;
  nodeReadyMs: number;
  allHealthyMs: number;
  healthyMs: Record<string, number>;
}

/** The host as an agent would find it: its own /var/lib, /var/log and /run, an address, and the artifacts. */
function furnish({ folder, artifacts }: Assignment): void {
  const run = (command: string) => execFileSync('/bin/sh', ['-ec', command]);
  for (const path of ['/var/lib', '/var/log', '/run']) {
    mkdirSync(`${folder}${path}`, { recursive: true });
    run(`mount --bind ${folder}${path} ${path}`);
  }
  mkdirSync(hostPaths.artifacts, { recursive: true });
  run(`mount --bind ${artifacts} ${hostPaths.artifacts}`);
  mkdirSync(dirname(hostPaths.node), { recursive: true });
  symlinkSync(process.execPath, hostPaths.node);
  writeFileSync(`${folder}/hosts`, `127.0.0.1 localhost\n${address} ${hostName}\n`);
  run(`mount --bind ${folder}/hosts /etc/hosts`);
  run('mount --make-rshared /');
  run('ip link set lo up && ip link add eth0 type bridge && ip link set eth0 up');
  run(`ip address add ${address}/24 dev eth0 && ip route add default via 172.30.0.1`);
  run(`hostname ${hostName} && echo 1 > /proc/sys/net/ipv4/ip_forward`);
}

/** Starts everything, and waits for the API server, the Node and every probe. */
async function create(
  stack: Stack,
  client: KubeClient,
  objects: ReturnType<typeof systemObjects>,
  inOrder: boolean,
): Promise<CreateSample> {
  const start = performance.now();
  const elapsed = () => Math.round(performance.now() - start);
  const sample: CreateSample = { readyzMs: 0, nodeReadyMs: 0, allHealthyMs: 0, healthyMs: {} };
  const healthy = new Map<string, Promise<void>>();
  for (const { name, after } of components) {
    const awaited = inOrder ? after : name === 'kubelet' ? ['containerd'] : [];
    const ready = Promise.all(awaited.map((other) => healthy.get(other)));
    const done = ready.then(async () => {
      stack.start(name, { keep: true });
      await stack.healthy(name);
      sample.healthyMs[name] = elapsed();
    });
    healthy.set(name, done);
  }
  const readyz = until('readyz', async () => (await client.request('GET', '/readyz')).status === 200);
  const node = until('node ready', () => nodeReady(client, hostName));
  await Promise.all([
    // The network's daemon may look at nothing before its rights are there, and the Node waits for it.
    readyz.then(() => {
      sample.readyzMs = elapsed();
      return apply(client, objects);
    }),
    node.then(() => {
      sample.nodeReadyMs = elapsed();
    }),
    ...healthy.values(),
  ]);
  sample.allHealthyMs = elapsed();
  stack.keepNone();
  return sample;
}

/** The bare start of each component after a kill, until its probe is satisfied, in a cluster that runs. */
async function heal(stack: Stack, samples: number): Promise<Record<string, number[]>> {
  const result: Record<string, number[]> = {};
  for (const { name } of components) {
    const durations: number[] = [];
    for (let i = 0; i < samples; i++) {
      await stack.kill(name);
      const start = performance.now();
      stack.start(name);
      await stack.healthy(name);
      durations.push(Math.round(performance.now() - start));
    }
    result[name] = durations;
  }
  return result;
}

function writeAdminKubeconfig(folder: string, client: KubeClient): void {
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: 'floor',
        cluster: { server: 'https://127.0.0.1:6443', 'certificate-authority-data': base64(client.caPem) },
      },
    ],
    users: [
      {
        name: 'admin',
        user: {
          'client-certificate-data': base64(client.certificatePem),
          'client-key-data': base64(client.keyPem),
        },
      },
    ],
    contexts: [{ name: 'floor', context: { cluster: 'floor', user: 'admin' } }],
    'current-context': 'floor',
  };
  writeFileSync(`${folder}/kubeconfig`, JSON.stringify(config), { mode: 0o600 });
}

async function main(assignment: Assignment): Promise<void> {
  const { kubernetesVersion, cgroupRoot, folder } = assignment;
  globalThis.rancherProgramVersions = assignment.programVersions;
  furnish(assignment);
  const ctx = contextOf(kubernetesVersion, cgroupRoot, cgroupVersion());
  const stack = await Stack.prepare(ctx);
  const client = await kubeClient(stack.secrets);
  const created = await create(stack, client, systemObjects(ctx.environment), assignment.inOrder);
  let result: Result = created;
  if (assignment.mode !== 'create') writeAdminKubeconfig(folder, client);
  if (assignment.mode === 'heal') result = await heal(stack, assignment.samples);
  writeFileSync(`${folder}/result.json`, JSON.stringify(result));
  if (assignment.mode === 'hold') {
    process.stdout.write(`${JSON.stringify(created)}\nready; ends with its standard input\n`);
    await new Promise((resolve) => process.stdin.once('end', resolve).resume());
  }
}

await main(JSON.parse(process.argv[2] ?? '{}') as Assignment);
process.exit(0);
