import { type AgentMessage, agentProtocolVersion, type ObservedLocalHost } from '@rancher/contracts';
import type { HostFacts, Inventory } from '@rancher/domain';

const factsEveryMs = 10_000;
/** Free disk is told in steps, and of a full one only that it is, so that a log line is no news. */
const diskStepBytes = 1024 ** 3;

interface Sources {
  inventory: () => Inventory;
  localHosts: () => ObservedLocalHost[];
  facts: () => HostFacts;
  send: (message: AgentMessage) => boolean;
}

/** Tells the server what is: always the whole inventory, at once when anything of it changed, changes of one moment once. */
export class Reporter {
  readonly #sources: Sources;
  readonly #timer: NodeJS.Timeout;
  #pending: NodeJS.Immediate | undefined;
  #said = '';
  #saidFacts = '';

  constructor(sources: Sources) {
    this.#sources = sources;
    this.#timer = setInterval(() => this.#tellFacts(), factsEveryMs);
  }

  /** The first message on a connection. */
  hello(): AgentMessage {
    const inventory = this.#sources.inventory();
    const localHosts = this.#sources.localHosts();
    const facts = this.#sources.facts();
    this.#said = JSON.stringify({ inventory, localHosts });
    this.#saidFacts = comparable(facts);
    return { type: 'hello', protocol: agentProtocolVersion, facts, inventory, localHosts };
  }

  changed(): void {
    this.#pending ??= setImmediate(() => {
      this.#pending = undefined;
      const inventory = this.#sources.inventory();
      const localHosts = this.#sources.localHosts();
      const said = JSON.stringify({ inventory, localHosts });
      if (said === this.#said) return;
      if (this.#sources.send({ type: 'inventory', inventory, localHosts })) this.#said = said;
    });
  }

  close(): void {
    clearInterval(this.#timer);
    clearImmediate(this.#pending);
  }

  #tellFacts(): void {
    const facts = this.#sources.facts();
    if (comparable(facts) === this.#saidFacts) return;
    if (this.#sources.send({ type: 'facts', facts })) this.#saidFacts = comparable(facts);
  }
}

function comparable(facts: HostFacts): string {
  const diskFreeBytes = Math.round(facts.diskFreeBytes / diskStepBytes);
  return JSON.stringify({ ...facts, diskFreeBytes, fullDisk: facts.fullDisk?.path });
}
