/**
 * A client of several web servers, run in the network of a host: it asks each again and again, on a new connection every
 * time, as what is to be seen is where new connections lead. Prints what went wrong when it is told to end (SIGTERM).
 */
import { get } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

const patienceMs = 2_000;
/** Between two requests to one server: the machine has other things to do. */
const pauseMs = 50;

const urls = process.argv.slice(2);
let ended = false;

function ask(url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent: false, timeout: patienceMs }, (answer) => {
      answer.resume();
      answer.on('error', reject);
      answer.on('end', () =>
        answer.statusCode === 200 ? resolve() : reject(new Error(`status ${answer.statusCode}`)),
      );
    });
    request.on('timeout', () => request.destroy(new Error(`no answer in ${patienceMs} ms`)));
    request.on('error', reject);
  });
}

async function asker(url: string) {
  const failures: { at: number; what: string }[] = [];
  let asked = 0;
  while (!ended) {
    const at = Date.now();
    asked += 1;
    await ask(url).catch((error: Error) => failures.push({ at, what: error.message }));
    await delay(pauseMs);
  }
  return { url, asked, failures };
}

process.once('SIGTERM', () => {
  ended = true;
});
process.stdout.write('asking\n');
process.stdout.write(`${JSON.stringify(await Promise.all(urls.map(asker)))}\n`);
process.exit(0);
