import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import type { DaemonConfig } from '../config.ts';
import type { KubeNode } from './node.ts';

/** Lists and watches Nodes. */
export async function watchNodes(
  config: DaemonConfig['kubernetes'],
  onChange: (nodes: ReadonlyMap<string, KubeNode>) => void,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await listAndWatch(config, onChange, signal);
    } catch {}
    await delay(200, undefined, { signal }).catch(() => {});
  }
}

async function listAndWatch(
  config: DaemonConfig['kubernetes'],
  onChange: (nodes: ReadonlyMap<string, KubeNode>) => void,
  signal: AbortSignal,
) {
  let text = '';
  for await (const part of await get(config, '/api/v1/nodes', signal)) text += part;
  const list = JSON.parse(text) as { metadata: { resourceVersion: string }; items: KubeNode[] };
  const nodes = new Map(list.items.map((item) => [item.metadata.name, item]));
  onChange(nodes);
  let line = '';
  const path = `/api/v1/nodes?watch=true&allowWatchBookmarks=true&resourceVersion=${list.metadata.resourceVersion}`;
  for await (const part of await get(config, path, signal)) {
    const lines = (line + part).split('\n');
    line = lines.pop()!;
    for (const entry of lines) {
      const { type, object } = JSON.parse(entry) as { type: string; object: KubeNode };
      if (type === 'ERROR') return;
      if (type === 'DELETED') nodes.delete(object.metadata.name);
      else if (type !== 'BOOKMARK') nodes.set(object.metadata.name, object);
      onChange(nodes);
    }
  }
}

function get(
  config: DaemonConfig['kubernetes'],
  path: string,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      `${config.server}${path}`,
      {
        ca: readFileSync(config.caFile),
        cert: readFileSync(config.certFile),
        key: readFileSync(config.keyFile),
        signal,
      },
      (answer) => {
        answer.setEncoding('utf8');
        if (answer.statusCode === 200) resolve(answer);
        else reject(new Error(`${answer.statusCode}`));
      },
    );
    outgoing.once('error', reject);
    outgoing.end();
  });
}
