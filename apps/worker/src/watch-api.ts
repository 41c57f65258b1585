import { request as httpRequest } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';

const timeoutMs = 2_000;
/** With more than this between two looks (ms), nobody knows whether the API was there in between. */
const gapMs = 20_000;

export interface ApiWatch {
  /** Since when the API has been there without a break, as far as is known: who was silent before may have spoken to no one. */
  hearsSince(): Promise<Date>;
}

/** Watches whether the API, which hears the hosts and writes it down, is there. To be asked every few seconds. */
export function watchApi(apiUrl: string, ca: string | undefined): ApiWatch {
  let since: Date | undefined;
  let lookedAt = Number.NEGATIVE_INFINITY;
  return {
    async hearsSince() {
      const gap = performance.now() - lookedAt;
      lookedAt = performance.now();
      const there = await isReady(`${apiUrl}/readyz`, ca);
      if (!there) since = undefined;
      else if (since === undefined || gap > gapMs) since = new Date();
      // Not there: it hears nobody right now.
      return since ?? new Date();
    },
  };
}

/** `/readyz` and not `/livez`: an API that cannot reach Postgres hears the hosts, but cannot write it down. */
function isReady(url: string, ca: string | undefined): Promise<boolean> {
  const secure = url.startsWith('https:');
  return new Promise((resolve) => {
    const signal = AbortSignal.timeout(timeoutMs);
    const agent = ca === undefined ? undefined : new Agent({ ca });
    const outgoing = (secure ? httpsRequest : httpRequest)(url, { signal, agent }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    outgoing.on('error', () => resolve(false));
    outgoing.end();
  });
}
