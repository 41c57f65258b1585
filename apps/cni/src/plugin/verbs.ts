import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Log, reasonOf } from '../log.ts';
import { type AddResult, type Attachment, type Attachments, keyOf } from './attachments.ts';
import { type Call, CniError, codes, type NetworkConfig } from './call.ts';
import { delegate } from './delegate.ts';

/** What the pod network is on this host now. */
export interface PodNetwork {
  /** Block of this host's pods; undefined until the cluster has given it one. */
  subnet: string | undefined;
  mtu: number;
  /** Why pods cannot be connected yet; undefined when they can. */
  notReady: string | undefined;
}

/** Rules of pods, in force before a pod's first process starts. */
export interface PodRules {
  /** @throws where they cannot be written: then the pod must not start. */
  attach(attachment: Attachment): Promise<void>;
  detach(attachment: Attachment): void;
}

export interface PluginOptions {
  /** Folder of the reference plugins. */
  plugins: string;
  /** Where host-local keeps which addresses are taken. */
  ipamDir: string;
  firewall: 'nftables' | 'iptables';
  attachments: Attachments;
  policies: PodRules | undefined;
  network: () => PodNetwork;
  log: Log;
}

/** The verbs of CNI, by way of the reference plugins: a routed link for each pod, host ports and bandwidth where asked. */
export class Plugin {
  readonly #options: PluginOptions;
  /** Calls of one attachment come one after the other: a DEL that overtakes its ADD would leave an address behind. */
  readonly #queues = new Map<string, Promise<unknown>>();

  constructor(options: PluginOptions) {
    this.#options = options;
  }

  /** What belongs on the plugin's standard output. @throws CniError */
  async answer(call: Call): Promise<string> {
    switch (call.command) {
      case 'ADD':
        return this.#inTurn(call, () => this.#add(call));
      case 'DEL':
        return this.#inTurn(call, () => this.#del(call));
      case 'CHECK':
        return this.#inTurn(call, () => this.#check(call));
      case 'GC':
        return this.#gc(call.config);
      default:
        return this.#status();
    }
  }

  /** Takes away what belongs to namespaces that are gone: their runtime may have died before it said so. */
  async collectLost(): Promise<void> {
    const lost = this.#options.attachments.all().filter(({ netns }) => !existsSync(netns));
    await this.#collect(lost).catch((error) =>
      this.#options.log.warn('lost attachments are still there', { error: reasonOf(error) }),
    );
  }

  async #add(call: Call): Promise<string> {
    const { attachments, policies } = this.#options;
    if (attachments.get(call) !== undefined)
      throw new CniError(codes.internal, `${call.ifname} of container ${call.containerId} is there already`);
    const { containerId, ifname, netns, args } = call;
    const attachment: Attachment = { containerId, ifname, netns, args, steps: this.#stepsOf(call.config) };
    attachments.set(attachment);
    try {
      let output = '';
      for (const step of attachment.steps) {
        const prevResult = output === '' ? {} : { prevResult: JSON.parse(output) as unknown };
        output = await delegate(this.#options.plugins, 'ADD', attachment, { ...step, ...prevResult });
      }
      const done = { ...attachment, result: JSON.parse(output) as AddResult };
      attachments.set(done);
      await policies?.attach(done);
      return output;
    } catch (error) {
      // The error that led here is the one to be told; what is left is known, and taken away by DEL or GC.
      await this.#takeAway(attachment).catch((left) =>
        this.#options.log.warn('an attachment that failed is still there', {
          containerId,
          error: reasonOf(left),
        }),
      );
      throw error;
    }
  }

  /** Done as well when there is nothing: then it was never added, or has been taken away before. */
  async #del(call: Call): Promise<string> {
    const attachment = this.#options.attachments.get(call);
    if (attachment !== undefined)
      await this.#takeAway({ ...attachment, netns: call.netns || attachment.netns });
    return '';
  }

  async #takeAway(attachment: Attachment): Promise<void> {
    const prevResult = attachment.result === undefined ? {} : { prevResult: attachment.result };
    for (const step of attachment.steps.toReversed())
      await delegate(this.#options.plugins, 'DEL', attachment, { ...step, ...prevResult });
    this.#options.attachments.delete(attachment);
    this.#options.policies?.detach(attachment);
  }

  async #check(call: Call): Promise<string> {
    const attachment = this.#options.attachments.get(call);
    if (attachment?.result === undefined)
      throw new CniError(codes.unknownContainer, `container ${call.containerId} has no ${call.ifname} here`);
    const prevResult = call.config.prevResult ?? attachment.result;
    for (const step of attachment.steps)
      await delegate(this.#options.plugins, 'CHECK', attachment, { ...step, prevResult });
    return '';
  }

  async #gc(config: NetworkConfig): Promise<string> {
    const list = config['cni.dev/valid-attachments'];
    if (!Array.isArray(list))
      throw new CniError(codes.invalidConfig, 'GC needs the list cni.dev/valid-attachments');
    const valid = new Set(list.map(({ containerID, ifname }) => keyOf({ containerId: containerID, ifname })));
    await this.#collect(this.#options.attachments.all().filter((a) => !valid.has(keyOf(a))));
    return '';
  }

  /** As much as can be. @throws CniError of what could not. */
  async #collect(attachments: readonly Attachment[]): Promise<void> {
    const errors: string[] = [];
    for (const attachment of attachments) {
      await this.#inTurn(attachment, async () => {
        const now = this.#options.attachments.get(attachment);
        if (now !== undefined) await this.#takeAway(now);
      }).catch((error) => void errors.push(`${attachment.containerId}: ${reasonOf(error)}`));
    }
    if (errors.length > 0)
      throw new CniError(codes.io, 'not all attachments could be taken away', errors.join('; '));
  }

  #status(): string {
    const { notReady } = this.#options.network();
    if (notReady !== undefined) throw new CniError(codes.notAvailable, notReady);
    for (const plugin of ['ptp', 'host-local', 'portmap', 'bandwidth']) {
      if (!existsSync(join(this.#options.plugins, plugin)))
        throw new CniError(codes.notAvailable, `the reference plugin ${plugin} is missing`);
    }
    return '';
  }

  /**
   * `ptp`: a veth pair with a route for each pod instead of a bridge, so that every packet passes the host's own hooks
   * (services between pods of one host need no br_netfilter, policies see all), and hairpin is a matter of routing.
   */
  #stepsOf({ cniVersion, name, runtimeConfig = {} }: NetworkConfig): NetworkConfig[] {
    const { subnet, mtu, notReady } = this.#options.network();
    if (subnet === undefined)
      throw new CniError(codes.tryAgain, notReady ?? 'this host has no pod addresses yet');
    const ipam = {
      type: 'host-local',
      ranges: [[{ subnet }]],
      routes: [{ dst: '0.0.0.0/0' }],
      dataDir: this.#options.ipamDir,
    };
    const steps: NetworkConfig[] = [{ cniVersion, name, type: 'ptp', mtu, ipMasq: false, ipam }];
    if ((runtimeConfig.portMappings ?? []).length > 0) {
      const { portMappings } = runtimeConfig;
      steps.push({
        cniVersion,
        name,
        type: 'portmap',
        backend: this.#options.firewall,
        runtimeConfig: { portMappings: portMappings! },
      });
    }
    if (Object.values(runtimeConfig.bandwidth ?? {}).some((value) => value > 0))
      steps.push({
        cniVersion,
        name,
        type: 'bandwidth',
        runtimeConfig: { bandwidth: runtimeConfig.bandwidth! },
      });
    return steps;
  }

  #inTurn<T>(id: { containerId: string; ifname: string }, work: () => Promise<T>): Promise<T> {
    const key = keyOf(id);
    const before = this.#queues.get(key) ?? Promise.resolve();
    const turn = before.then(work, work);
    const settled = turn
      .catch(() => {})
      .then(() => {
        if (this.#queues.get(key) === settled) this.#queues.delete(key);
      });
    this.#queues.set(key, settled);
    return turn;
  }
}
