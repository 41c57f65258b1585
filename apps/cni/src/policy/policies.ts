import type { KubeClient } from '@rancher/kube-watch';
import {
  type Attachment,
  closeScripts,
  emptyRuleset,
  HostPolicies,
  type Nft,
  RuleWriter,
  replaceScript,
} from '@rancher/network-policy';
import { type Log, reasonOf } from '../log.ts';
import { type Attachment as Connected, keyOf } from '../plugin/attachments.ts';
import { policyAttachment } from './attachment.ts';
import { Cluster } from './cluster.ts';

export interface PoliciesOptions {
  client: KubeClient;
  /** Name of this host's Node. */
  nodeName: string;
  /** The cluster DNS: address of its Service, and the one it is answered at on every host. */
  dns: { service: string; local: string };
  nft: Nft;
  /** What an earlier life has connected. */
  attachments: Connected[];
  log: Log;
}

/** How long a new pod waits to be known; after that it starts closed, and is opened when it is. */
const knownWithinMs = 1000;
/** Changes within this time are written together. */
const gatherMs = 50;
const auditMs = 10_000;
/** Rules that could not be written for so long make the daemon unhealthy. */
const stuckMs = 60_000;

/**
 * NetworkPolicy on this host. Promises: when {@link attach} resolves, no packet of the pod passes that a policy known here
 * forbids; what is written stays in force when this process ends; until the cluster has been heard, the rules of the
 * life before hold, and new pods are closed.
 */
export class Policies {
  readonly #options: PoliciesOptions;
  readonly #host: HostPolicies;
  readonly #cluster: Cluster;
  readonly #writer: RuleWriter;
  readonly #audit: NodeJS.Timeout;
  #closing: Promise<void> = Promise.resolve();
  #changed = Promise.withResolvers<void>();

  constructor(options: PoliciesOptions) {
    this.#options = options;
    const { client, nodeName, dns, nft, attachments, log } = options;
    this.#host = new HostPolicies(nodeName, [
      { pod: dnsPod(nodeName, [dns.local, dns.service]), serviceAddress: dns.service },
    ]);
    for (const connected of attachments) {
      const attachment = policyAttachment(connected);
      if (attachment) this.#host.attach(attachment);
    }
    this.#writer = new RuleWriter({
      nft,
      surroundings: { judged: [dns.local, dns.service] },
      ruleset: () => this.#host.ruleset(),
      onError: (error) => log.warn('network policies: rules could not be written', { error }),
      gatherMs,
    });
    this.#cluster = new Cluster({
      client,
      host: this.#host,
      onChange: () => {
        this.#writer.changed();
        this.#changed.resolve();
        this.#changed = Promise.withResolvers();
      },
      onError: (kind, error) => log.warn(`network policies: the watch of ${kind} failed`, { error }),
    });
    this.#audit = setInterval(() => {
      this.#writer.audit().catch((error) => log.warn('nftables cannot be read', { error: reasonOf(error) }));
    }, auditMs);
  }

  /** The rules of a new pod. @throws where they cannot be written: then the pod must not start. */
  async attach(connected: Connected): Promise<void> {
    const attachment = policyAttachment(connected);
    if (attachment === undefined) return;
    this.#host.attach(attachment);
    if (!this.#cluster.ready) return this.#closeUntilReady(attachment);
    if (!this.#host.hasPolicies(attachment.namespace)) return;
    const deadline = Date.now() + knownWithinMs;
    while (!this.#host.knows(attachment) && Date.now() < deadline) await this.#nextChange(deadline);
    await this.#writer.flush();
  }

  detach(connected: Connected): void {
    this.#host.detach(keyOf(connected));
    if (this.#cluster.ready) this.#writer.changed();
  }

  /** Why the daemon is not healthy; undefined when it is. An API server that is away is no reason: the rules hold. */
  problem(now = Date.now()): string | undefined {
    const since = this.#writer.behindSince;
    if (since === undefined || now - since < stuckMs) return undefined;
    const reason = this.#writer.state().error ?? 'no answer from nft';
    return `network policies not written since ${new Date(since).toISOString()}: ${reason}`;
  }

  /** For Prometheus. */
  metrics(): string {
    const { writes, failures, replacements, lastMs } = this.#writer.state();
    const { pods, policies, attachments } = this.#host.size();
    const behind = this.#writer.behindSince;
    const figures: Record<string, [type: 'counter' | 'gauge', value: number]> = {
      policies: ['gauge', policies],
      pods: ['gauge', pods],
      attachments: ['gauge', attachments],
      ready: ['gauge', this.#cluster.ready ? 1 : 0],
      writes_total: ['counter', writes],
      replacements_total: ['counter', replacements],
      write_failures_total: ['counter', failures],
      last_write_seconds: ['gauge', lastMs / 1000],
      behind_seconds: ['gauge', behind === undefined ? 0 : (Date.now() - behind) / 1000],
    };
    return Object.entries(figures)
      .map(
        ([name, [type, value]]) =>
          `# TYPE rancher_network_policy_${name} ${type}\nrancher_network_policy_${name} ${value}\n`,
      )
      .join('');
  }

  close(): void {
    clearInterval(this.#audit);
    this.#cluster.close();
    this.#writer.stop();
  }

  async #nextChange(deadline: number): Promise<void> {
    const timeout = Promise.withResolvers<void>();
    const timer = setTimeout(timeout.resolve, deadline - Date.now());
    await Promise.race([this.#changed.promise, timeout.promise]);
    clearTimeout(timer);
  }

  async #closeUntilReady({ addresses }: Attachment): Promise<void> {
    // One after the other, and each although the one before failed.
    const closed = this.#closing.then(() => this.#close(addresses));
    this.#closing = closed.catch(() => {});
    await closed;
    if (!this.#cluster.ready) return;
    // The writer began meanwhile, and knows nothing of what was written beside it.
    this.#writer.forget();
    await this.#writer.flush();
  }

  /** Closes addresses before anything is known, in the table of the life before, or in a new one. */
  async #close(addresses: string[]): Promise<void> {
    const { nft } = this.#options;
    if (this.#cluster.ready) return;
    if ((await nft.fingerprint()) === null)
      await nft.run(replaceScript(emptyRuleset(), { judged: Object.values(this.#options.dns) }));
    for (const address of addresses) {
      const [there, missing] = closeScripts(address) as [string, string];
      await nft.run(there).catch(() => nft.run(missing));
    }
  }
}

/** Policies see the cluster DNS as what it is elsewhere: pods of `kube-system` with this label. */
function dnsPod(node: string, addresses: string[]) {
  const ports = [
    { name: 'dns', protocol: 'UDP' as const, port: 53 },
    { name: 'dns-tcp', protocol: 'TCP' as const, port: 53 },
  ];
  const labels = { 'k8s-app': 'kube-dns' };
  return { uid: '', namespace: 'kube-system', name: 'kube-dns', labels, addresses, ports, node };
}
