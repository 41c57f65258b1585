import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NetworkConfig } from './call.ts';

/** A container's interface, with all that is needed to take it away again. */
export interface Attachment {
  containerId: string;
  ifname: string;
  netns: string;
  args: string;
  /** Reference plugins that were or may have been called, in order, each with its configuration. */
  steps: NetworkConfig[];
  /** What the runtime was told; absent until all steps are done. */
  result?: AddResult;
}

/** The part of a CNI result that we look into. */
export interface AddResult {
  cniVersion: string;
  interfaces?: { name: string; mac?: string; sandbox?: string }[];
  ips?: { address: string; gateway?: string; interface?: number }[];
}

/**
 * The attachments of this host, a file each. What is going to be done is written before it is done, so that whatever
 * happens in between, the one who reads it knows what to undo: no address is ever lost.
 */
export class Attachments {
  readonly #dir: string;
  readonly #all = new Map<string, Attachment>();

  constructor(dir: string) {
    this.#dir = dir;
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    for (const file of readdirSync(dir)) {
      const attachment = read(join(dir, file));
      if (attachment === undefined) rmSync(join(dir, file), { force: true });
      else this.#all.set(keyOf(attachment), attachment);
    }
  }

  all(): Attachment[] {
    return [...this.#all.values()];
  }

  get(id: { containerId: string; ifname: string }): Attachment | undefined {
    return this.#all.get(keyOf(id));
  }

  set(attachment: Attachment): void {
    const file = this.#file(attachment);
    writeFileSync(`${file}.new`, JSON.stringify(attachment), { mode: 0o600 });
    renameSync(`${file}.new`, file);
    this.#all.set(keyOf(attachment), attachment);
  }

  delete(attachment: Attachment): void {
    rmSync(this.#file(attachment), { force: true });
    this.#all.delete(keyOf(attachment));
  }

  #file(attachment: Attachment): string {
    return join(this.#dir, `${keyOf(attachment)}.json`);
  }
}

/** Neither part can hold a colon. */
export function keyOf({ containerId, ifname }: { containerId: string; ifname: string }): string {
  return `${containerId}:${ifname}`;
}

/** Undefined for what a crash left half-written: its rename never happened, so nothing was begun. */
function read(path: string): Attachment | undefined {
  if (!path.endsWith('.json')) return undefined;
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Attachment;
  } catch {
    return undefined;
  }
}
