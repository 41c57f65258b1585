/** A client that asks the Kubernetes API through a host's own balancer, again and again, and tells what it lived through. */
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

/** Resolves once it has begun to ask. */
export async function askFrom(
  rancher: Installation,
  environment: string,
  host: string,
): Promise<AskingClient> {
  const kubelet = await until(`kubelet runs on ${host}`, async () =>
    (await rancher.instances(environment)).find(
      (i) => i.component === 'kubelet' && i.host === host && i.pid !== null,
    ),
  );
  const script = new URL('./asking-client-main.ts', import.meta.url).pathname;
  const pki = `/proc/${kubelet.pid}/root/var/lib/rancher-agent/services/kube-proxy/pki`;
  const asks = [script, pki, '/api/v1/services?limit=1', String(askers)];
  const child = spawn('nsenter', ['-t', String(kubelet.pid), '-n', process.execPath, ...asks], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const begun = await lines.next();
  if (begun.value !== 'asking') throw new Error(`the client on ${host} does not ask: ${begun.value}`);
  return {
    askers,
    async end() {
      child.kill('SIGTERM');
      return JSON.parse((await lines.next()).value as string) as Heard;
    },
    kill: () => void child.kill('SIGKILL'),
  };
}
