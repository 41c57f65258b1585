/** Clients on a host that ask again and again, and tell what they lived through. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { type Installation, until } from './installation.ts';

interface Heard {
  /** How many requests were sent. */
  asked: number;
  /** Longest time between two good answers. */
  longestGapMs: number;
  failures: { at: number; tookMs: number; what: string }[];
}

export interface AskingClient {
  /** How many requests may be under way at once. */
  askers: number;
  end(): Promise<Heard>;
  kill(): void;
}

const askers = 4;

/** Asks the API server through the host's own balancer. Resolves once it has begun. */
export async function askFrom(
  rancher: Installation,
  environment: string,
  host: string,
): Promise<AskingClient> {
  const pid = await kubeletOf(rancher, environment, host);
  const pki = `/proc/${pid}/root/var/lib/rancher-agent/services/kube-proxy/pki`;
  const program = new URL('./asking-client-main.ts', import.meta.url);
  const asks = [pki, '/api/v1/services?limit=1', String(askers)];
  const client = await start<Heard>(pid, program, asks);
  return { askers, ...client };
}

export interface AskingServices {
  /** For each URL, what failed and when its request was sent. */
  end(): Promise<{ url: string; asked: number; failures: { at: number; what: string }[] }[]>;
  kill(): void;
}

/** Asks web servers, each on a new connection every time. Resolves once it has begun. */
export async function askServicesFrom(
  rancher: Installation,
  environment: string,
  host: string,
  urls: string[],
): Promise<AskingServices> {
  const program = new URL('./asking-services-main.ts', import.meta.url);
  return start(await kubeletOf(rancher, environment, host), program, urls);
}

async function kubeletOf(rancher: Installation, environment: string, host: string): Promise<number> {
  const kubelet = await until(`kubelet runs on ${host}`, async () =>
    (await rancher.instances(environment)).find(
      (i) => i.component === 'kubelet' && i.host === host && i.pid !== null,
    ),
  );
  return kubelet.pid!;
}

/** A program of this folder in the network of a process; it says `asking` first, and its findings when it is to end. */
async function start<T>(pid: number, program: URL, args: string[]) {
  const command = [process.execPath, program.pathname, ...args];
  const child = spawn('nsenter', ['-t', String(pid), '-n', ...command], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const begun = await lines.next();
  if (begun.value !== 'asking') throw new Error(`the client does not ask: ${begun.value}`);
  return {
    async end() {
      child.kill('SIGTERM');
      return JSON.parse((await lines.next()).value as string) as T;
    },
    kill: () => void child.kill('SIGKILL'),
  };
}
