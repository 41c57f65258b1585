import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { KubeClient, watchObjects } from '@rancher/kube-watch';
import { hostNft } from '@rancher/network-policy';
import type { DaemonConfig } from './config.ts';
import { serveHealth } from './health.ts';
import { type Log, reasonOf } from './log.ts';
import { Attachments } from './plugin/attachments.ts';
import { listen } from './plugin/server.ts';
import { Plugin } from './plugin/verbs.ts';
import { Policies } from './policy/policies.ts';
import type { Node } from './routes/desired.ts';
import { applyFirewall } from './routes/firewall.ts';
import { permitForwarding } from './routes/forwarding.ts';
import { type KubeNode, nodeOf } from './routes/node.ts';
import { Routes } from './routes/routes.ts';

const collectMs = 60_000;
const forwardingMs = 10_000;

/**
 * The host's network daemon: answers the CNI plugin's front, and keeps the routes to the pods of other hosts. All that it
 * makes is in the kernel and goes on without it; its next life takes it up.
 */
export async function startDaemon(config: DaemonConfig, log: Log): Promise<{ stop(): void }> {
  writeFileSync('/proc/sys/net/ipv4/ip_forward', '1');
  await applyFirewall(config.firewall, config.podCidr);
  const forward = () =>
    permitForwarding(config.podCidr).catch((error: unknown) =>
      log.warn('packets of pods may not be forwarded', { error: reasonOf(error) }),
    );
  await forward();
  const forwarder = setInterval(forward, forwardingMs);
  const routes = new Routes({
    podCidr: config.podCidr,
    self: { name: config.nodeName, address: config.address },
    vxlanPort: config.vxlanPort,
    nodesFile: join(config.stateDir, 'nodes.json'),
    log,
  });
  const client = new KubeClient(config.kubernetes);
  const attachments = new Attachments(join(config.stateDir, 'attachments'));
  const policies = enforcePolicies(config, client, attachments, log);
  const plugin = new Plugin({
    plugins: config.plugins,
    ipamDir: join(config.stateDir, 'ipam'),
    firewall: config.firewall,
    attachments,
    policies,
    network: () => routes.network(),
    log,
  });
  const collector = setInterval(() => void plugin.collectLost(), collectMs);
  await Promise.all([plugin.collectLost(), routes.settled()]);
  const server = await listen(config.socket, (call) => plugin.answer(call));
  const health = await serveHealth(config.healthPort, policies);
  let synced = false;
  const update = () => routes.update([...nodes.objects.values()]);
  const nodes = watchObjects<KubeNode, Node>({
    client,
    path: '/api/v1/nodes',
    prune: nodeOf,
    // The first list comes as a whole; until then the routes are those of what was last known.
    onEvent: () => synced && update(),
    onSync() {
      synced = true;
      update();
    },
    onError: (error) => log.warn('the Nodes are not watched', { error }),
  });
  return {
    stop() {
      nodes.stop();
      policies?.close();
      clearInterval(collector);
      clearInterval(forwarder);
      routes.close();
      server.close();
      health.close();
    },
  };
}

function enforcePolicies(
  { firewall, nodeName, dns }: DaemonConfig,
  client: KubeClient,
  attachments: Attachments,
  log: Log,
): Policies | undefined {
  if (firewall === 'nftables')
    return new Policies({ client, nodeName, dns, nft: hostNft(), attachments: attachments.all(), log });
  log.warn('network policies are not enforced: this host has no nftables');
  return undefined;
}
