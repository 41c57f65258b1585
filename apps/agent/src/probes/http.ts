import type { ClientRequest, Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent, get as httpsGet } from 'node:https';
import type { ProbeSpec } from '@rancher/domain';
import { http } from '../builtins.ts';
import type { Check } from './probe.ts';

/**
 * HTTP and HTTPS probes, as kubelet does them: any status from 200 to 399 is good, certificates are not verified. The
 * connection is kept from one look to the next, as a TLS handshake each second would cost both sides more than the look.
 */
export class HttpCheck implements Check {
  readonly what: string;
  readonly #url: string;
  readonly #secure: boolean;
  readonly #agent: HttpAgent;

  constructor({ scheme, host, port, path }: NonNullable<ProbeSpec['httpGet']>) {
    this.#url = `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}${path}`;
    this.#secure = scheme === 'https';
    this.what = `HTTP probe ${this.#url}`;
    const options = { keepAlive: true, maxSockets: 1, noDelay: true };
    this.#agent = this.#secure
      ? new HttpsAgent({ ...options, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] })
      : new http.Agent(options);
  }

  async run(signal: AbortSignal): Promise<void> {
    const { status, body } = await this.#get(signal);
    if (status >= 200 && status < 400) return;
    const detail = body.trim().split('\n').slice(-3).join(' ').slice(0, 200);
    throw new Error(detail === '' ? `status ${status}` : `status ${status}: ${detail}`);
  }

  close(): void {
    this.#agent.destroy();
  }

  #get(signal: AbortSignal, again = true): Promise<{ status: number; body: string }> {
    return new Promise((resolve, reject) => {
      const options = { agent: this.#agent, signal, headers: { 'user-agent': 'rancher-probe' } };
      const request: ClientRequest = (this.#secure ? httpsGet : http.get)(this.#url, options, (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          if (body.length < 4096) body += chunk;
        });
        response.once('end', () => resolve({ status: response.statusCode ?? 0, body }));
        response.once('error', reject);
      });
      request.once('error', (error) => {
        // The other side may close an idle connection just when it is used again.
        if (again && request.reusedSocket && !signal.aborted) this.#get(signal, false).then(resolve, reject);
        else reject(error);
      });
    });
  }
}
