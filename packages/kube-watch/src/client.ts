import { readFileSync, statSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import https from 'node:https';

export interface KubeAccess {
  /** `https://host:port` of the API server. */
  server: string;
  /** Files (PEM). Read again when one of them has changed, so that renewed certificates are taken up. */
  caPath: string;
  certPath: string;
  keyPath: string;
}

/** The API server answered with something other than success. */
export class KubeError extends Error {
  readonly status: number;
  /** From Retry-After, where the server said so. */
  readonly retryAfterMs: number | undefined;
  constructor(status: number, message: string, retryAfterMs?: number) {
    super(message);
    this.name = 'KubeError';
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

export interface RequestOptions {
  method?: string;
  body?: unknown;
  contentType?: string;
  signal?: AbortSignal;
  /** Longest silence of the connection, in milliseconds; 30 s by default. */
  silenceMs?: number;
}

/** Connections to an API server as the user that a client certificate names. */
export class KubeClient {
  readonly #access: KubeAccess;
  readonly #server: URL;
  #agent: https.Agent | undefined;
  #stamp = '';

  constructor(access: KubeAccess) {
    this.#access = access;
    this.#server = new URL(access.server);
  }

  /**
   * Sends a request and gives the parsed JSON of the answer.
   * @throws KubeError for a status that is not 2xx; Error when the server cannot be reached or falls silent.
   */
  async json<T>(path: string, options: RequestOptions = {}): Promise<T> {
    const response = await this.open(path, options);
    return JSON.parse(await textOf(response)) as T;
  }

  /** As {@link json}, giving the answer as a stream of bytes. Whoever gets it must read or destroy it. */
  async open(path: string, options: RequestOptions = {}): Promise<IncomingMessage> {
    const { method = 'GET', body, contentType = 'application/json', signal, silenceMs = 30_000 } = options;
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const request = https.request(new URL(path, this.#server), {
        method,
        agent: this.#currentAgent(),
        headers: {
          accept: 'application/json',
          ...(body === undefined ? {} : { 'content-type': contentType }),
        },
        ...(signal === undefined ? {} : { signal }),
      });
      request.setTimeout(silenceMs, () =>
        request.destroy(new Error(`${this.#server.host} did not say anything for ${silenceMs} ms`)),
      );
      request.once('response', resolve);
      request.on('error', reject);
      request.end(body === undefined ? undefined : JSON.stringify(body));
    });
    const status = response.statusCode ?? 0;
    if (status >= 200 && status < 300) return response;
    const retryAfter = Number(response.headers['retry-after']);
    throw new KubeError(
      status,
      `${method} ${path}: ${status} ${reasonIn(await textOf(response))}`,
      retryAfter > 0 ? Math.min(retryAfter, 60) * 1000 : undefined,
    );
  }

  close(): void {
    this.#agent?.destroy();
  }

  /** Connections that are open already go on with the certificate that they began with. */
  #currentAgent(): https.Agent {
    const { caPath, certPath, keyPath } = this.#access;
    const stamp = [caPath, certPath, keyPath].map(stampOf).join();
    if (this.#agent === undefined || stamp !== this.#stamp) {
      const previous = this.#agent;
      this.#agent = new https.Agent({
        keepAlive: true,
        ca: readFileSync(caPath),
        cert: readFileSync(certPath),
        key: readFileSync(keyPath),
      });
      this.#stamp = stamp;
      // Those idle would be used again; those in use end by themselves.
      for (const sockets of Object.values(previous?.freeSockets ?? {})) {
        for (const socket of sockets ?? []) socket.destroy();
      }
    }
    return this.#agent;
  }
}

function stampOf(path: string): string {
  const { ino, mtimeMs, size } = statSync(path);
  return `${ino} ${mtimeMs} ${size}`;
}

async function textOf(response: IncomingMessage): Promise<string> {
  response.setEncoding('utf8');
  let text = '';
  for await (const chunk of response) text += chunk;
  return text;
}

/** The message of a Kubernetes Status, or the start of whatever else it is. */
function reasonIn(body: string): string {
  try {
    return (JSON.parse(body) as { message?: string }).message ?? '';
  } catch {
    return body.slice(0, 200).trim();
  }
}
