import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DaemonConfig } from './config.ts';
import { serveHealth } from './health.ts';
import { type Log, reasonOf } from './log.ts';
import { nodeOf } from './nodes/node.ts';
import { watchNodes } from './nodes/watch.ts';
import { Attachments } from './plugin/attachments.ts';
import { listen } from './plugin/server.ts';
import { Plugin } from './plugin/verbs.ts';
import { applyFirewall } from './routes/firewall.ts';
import { Routes } from './routes/routes.ts';

const collectMs = 60_000;

/**
 * The host's network daemon: answers the CNI plugin's front, and keeps the routes to the pods of other hosts. All that it
 * makes is in the kernel and goes on without it; its next life takes it up.
 */
export async function startDaemon(config: DaemonConfig, log: Log): Promise<{ stop(): void }> {
  writeFileSync('/proc/sys/net/ipv4/ip_forward', '1');
  await applyFirewall(config.firewall, config.podCidr);
  const routes = new Routes({
    podCidr: config.podCidr,
    self: { name: config.nodeName, address: config.address },
    vxlanPort: config.vxlanPort,
    nodesFile: join(config.stateDir, 'nodes.json'),
    log,
  });
  const plugin = new Plugin({
    plugins: config.plugins,
    ipamDir: join(config.stateDir, 'ipam'),
    firewall: config.firewall,
    attachments: new Attachments(join(config.stateDir, 'attachments')),
    network: () => routes.network(),
    log,
  });
  const collector = setInterval(() => void plugin.collectLost(), collectMs);
  await Promise.all([plugin.collectLost(), routes.settled()]);
  const server = await listen(config.socket, (call) => plugin.answer(call));
  const health = await serveHealth(config.healthPort);
  const stopping = new AbortController();
  watchNodes(
    config.kubernetes,
    (nodes) => routes.update([...nodes.values()].map(nodeOf).filter((node) => node !== undefined)),
    stopping.signal,
  ).catch((error) => log.warn('the watch of Nodes ended', { error: reasonOf(error) }));
  return {
    stop() {
      stopping.abort();
      clearInterval(collector);
      routes.close();
      server.close();
      health.close();
    },
  };
}
