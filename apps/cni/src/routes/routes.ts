import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Log, reasonOf } from '../log.ts';
import type { PodNetwork } from '../plugin/verbs.ts';
import { type Desired, desiredRoutes, type Node } from './desired.ts';
import { applyRoutes, localAddresses } from './kernel.ts';

/** Somebody else may flush routes or take a link down and up: looked at so often (ms). */
const lookMs = 5_000;
const retryMs = 1_000;

export interface RoutesOptions {
  podCidr: string;
  self: { name: string; address: string };
  vxlanPort: number;
  /** What is known of the Nodes, kept for a start while the API server is away. */
  nodesFile: string;
  log: Log;
  /** In place of the kernel, and of this host's links. */
  apply?: typeof applyRoutes;
  addresses?: typeof localAddresses;
}

/** Keeps the kernel's routes as the Nodes want them. One change at a time; what comes meanwhile is taken together. */
export class Routes {
  readonly #options: RoutesOptions;
  #nodes: readonly Node[] | undefined;
  #desired: Desired | undefined;
  #applied = false;
  #trouble = '';
  #running: Promise<void> | undefined;
  #again = false;
  #timer: NodeJS.Timeout;

  /** Begins with what was last known; without it, with nothing until the first {@link update}. */
  constructor(options: RoutesOptions) {
    this.#options = options;
    this.#timer = setTimeout(() => {}, 0);
    const kept = readNodes(options.nodesFile);
    if (kept !== undefined) this.#take(kept);
  }

  /** The Nodes are these now. */
  update(nodes: readonly Node[]): void {
    const sorted = [...nodes].sort((a, b) => (a.name < b.name ? -1 : 1));
    // Most events of Nodes are of no concern here.
    if (JSON.stringify(sorted) === JSON.stringify(this.#nodes)) return;
    keepNodes(this.#options.nodesFile, sorted);
    this.#take(sorted);
  }

  /** What pods are connected with now. */
  network(): PodNetwork {
    const { name } = this.#options.self;
    const subnet = this.#nodes?.find((node) => node.name === name)?.podCidr;
    return { subnet, mtu: this.#desired?.mtu ?? 1500, notReady: this.#notReady(subnet) };
  }

  /** When what was last known has been tried. */
  async settled(): Promise<void> {
    await this.#running;
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#nodes = undefined;
  }

  #notReady(subnet: string | undefined): string | undefined {
    if (this.#nodes === undefined)
      return 'the Nodes of the cluster are not known yet: the API server has not answered';
    if (subnet === undefined)
      return `Node ${this.#options.self.name} has no pod addresses (spec.podCIDR) yet`;
    // Once they were right, a later failure is mended behind the scenes: pods that run must not be given up for it.
    return this.#applied ? undefined : `the routes to other hosts are not there yet${this.#trouble}`;
  }

  #take(nodes: readonly Node[]): void {
    this.#nodes = nodes;
    this.#again = true;
    this.#running ??= this.#work().finally(() => {
      this.#running = undefined;
    });
  }

  async #work(): Promise<void> {
    while (this.#again) {
      this.#again = false;
      clearTimeout(this.#timer);
      const ok = await this.#once();
      this.#timer = setTimeout(
        () => this.#nodes !== undefined && this.#take(this.#nodes),
        ok ? lookMs : retryMs,
      );
    }
  }

  async #once(): Promise<boolean> {
    const { podCidr, self, vxlanPort, log, apply = applyRoutes, addresses = localAddresses } = this.#options;
    const nodes = this.#nodes ?? [];
    try {
      this.#desired = desiredRoutes({ podCidr, self, nodes, addresses: await addresses() });
      const changes = await apply(this.#desired, vxlanPort);
      if (changes.length > 0) log.info('routes changed', { changes, nodes: nodes.length });
      this.#applied = true;
      this.#trouble = '';
      return true;
    } catch (error) {
      this.#trouble = `: ${reasonOf(error)}`;
      log.warn('routes could not all be set; tried again', { error: reasonOf(error) });
      return false;
    }
  }
}

function readNodes(file: string): Node[] | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Node[];
  } catch {
    return undefined;
  }
}

function keepNodes(file: string, nodes: readonly Node[]): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(`${file}.new`, JSON.stringify(nodes), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}
