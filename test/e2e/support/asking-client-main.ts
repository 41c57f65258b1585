/**
 * A client of the Kubernetes API on one host, run in the host's network: several askers, one request after the other each,
 * over connections that are kept. Prints what went wrong when it is told to end (SIGTERM), as JSON.
 *
 * As clients of Kubernetes do, it asks again what is answered by 429 with Retry-After, and what was sent over a kept
 * connection that the other side had just closed.
 */
import { readFileSync } from 'node:fs';
import { Agent, type RequestOptions, request } from 'node:https';

const [pki = '', path = '', askers = '1'] = process.argv.slice(2);
const pem = (name: string) => readFileSync(`${pki}/${name}`);
const options: RequestOptions = {
  host: '127.0.0.1',
  port: 6444,
  path,
  agent: new Agent({ keepAlive: true }),
  ca: pem('ca-kubernetes.crt'),
  cert: pem('client.crt'),
  key: pem('client.key'),
  timeout: 10_000,
};

const failures: { at: number; tookMs: number; what: string }[] = [];
let asked = 0;
let longestGapMs = 0;
let lastGood = Date.now();
let ended = false;

function ask(): Promise<number> {
  return new Promise((resolve, reject) => {
    const outgoing = request(options, (answer) => {
      answer.resume();
      answer.on('end', () => resolve(answer.statusCode ?? 0));
      answer.on('error', reject);
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error('no answer in 10 s')));
    outgoing.on('error', (error: NodeJS.ErrnoException) => {
      if (outgoing.reusedSocket && error.code === 'ECONNRESET') ask().then(resolve, reject);
      else reject(error);
    });
    outgoing.end();
  });
}

async function asker(): Promise<void> {
  while (!ended) {
    const at = Date.now();
    asked += 1;
    try {
      const status = await ask();
      if (status === 429) continue;
      if (status !== 200) throw new Error(`status ${status}`);
      longestGapMs = Math.max(longestGapMs, Date.now() - lastGood);
      lastGood = Date.now();
    } catch (error) {
      failures.push({ at, tookMs: Date.now() - at, what: (error as Error).message });
    }
  }
}

process.once('SIGTERM', () => {
  ended = true;
});
process.stdout.write('asking\n');
await Promise.all(Array.from({ length: Number(askers) }, asker));
process.stdout.write(`${JSON.stringify({ asked, longestGapMs, failures })}\n`);
process.exit(0);
