import { request as httpRequest, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import type { Upstreams } from './upstream.ts';

const timeoutMs = 3_000;

/**
 * Asks one host's member of etcd, by the JSON gateway to its gRPC API, through the host's tunnel.
 * @throws Error in etcd's own words, or that of the tunnel
 */
export async function askEtcd<T>(
  upstreams: Upstreams,
  environmentId: string,
  hostId: string,
  path: string,
  body: object,
): Promise<T> {
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const request = httpRequest(
      {
        method: 'POST',
        path,
        host: 'etcd',
        headers: { 'content-type': 'application/json' },
        agent: upstreams.agent(environmentId, hostId, 'etcd'),
        signal: AbortSignal.timeout(timeoutMs),
      },
      resolve,
    );
    request.on('error', reject);
    request.end(JSON.stringify(body));
  });
  const content = await text(answer);
  if (answer.statusCode === 200) return JSON.parse(content) as T;
  throw new Error(`etcd answers ${answer.statusCode} to ${path}: ${reasonIn(content)}`);
}

function reasonIn(content: string): string {
  try {
    const { message, error } = JSON.parse(content) as { message?: string; error?: string };
    return message ?? error ?? content.slice(0, 200);
  } catch {
    return content.slice(0, 200);
  }
}
