import type { IncomingMessage } from 'node:http';
import { http } from '../builtins.ts';
import { dial } from './dial.ts';

/** A refusal by the server, with its status and its own words (the `detail` of problem+json). */
export class HttpError extends Error {
  readonly status: number;
  readonly code: string | undefined;
  constructor(status: number, detail: string, code?: string) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

export interface ServerAccess {
  url: string;
  pin: string | undefined;
  credential?: string;
}

/**
 * One request to the server; resolves with the answer's stream once its head is there.
 * @throws HttpError for every status but 2xx.
 */
export async function send(
  server: ServerAccess,
  method: 'GET' | 'POST',
  path: string,
  body?: unknown,
): Promise<IncomingMessage> {
  const url = new URL(path, server.url);
  const socket = await dial(url, server.pin);
  const text = body === undefined ? undefined : JSON.stringify(body);
  const headers: Record<string, string> = { host: url.host, connection: 'close' };
  if (server.credential !== undefined) headers.authorization = `Bearer ${server.credential}`;
  if (text !== undefined) {
    headers['content-type'] = 'application/json';
    headers['content-length'] = String(Buffer.byteLength(text));
  }
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const request = http.request(
      { method, path: url.pathname + url.search, headers, createConnection: () => socket },
      resolve,
    );
    request.setTimeout(30_000, () => request.destroy(new Error(`${url.origin} does not answer`)));
    request.once('error', reject);
    request.end(text);
  });
  const status = response.statusCode ?? 0;
  if (status >= 200 && status < 300) return response;
  throw refusal(status, await readText(response));
}

export async function sendJson<T>(
  server: ServerAccess,
  method: 'GET' | 'POST',
  path: string,
  body?: unknown,
): Promise<T> {
  return JSON.parse(await readText(await send(server, method, path, body))) as T;
}

/** Makes an error of an answer that is no success. */
export function refusal(status: number, body: string): HttpError {
  try {
    const problem = JSON.parse(body) as { detail?: string; title?: string; code?: string };
    return new HttpError(
      status,
      problem.detail ?? problem.title ?? `the server answered ${status}`,
      problem.code,
    );
  } catch {
    return new HttpError(status, `the server answered ${status}`);
  }
}

export async function readText(response: IncomingMessage): Promise<string> {
  response.setEncoding('utf8');
  let text = '';
  for await (const chunk of response) text += chunk;
  return text;
}
