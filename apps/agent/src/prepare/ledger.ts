import { readIfPresent, sha256 } from '../files.ts';
import type { Log } from '../log.ts';

/**
 * Remembers for each file that the server delivered what it was made for and its digest; so that one that is still right
 * is kept, without asking again and without the server, and one that somebody changed is noticed.
 */
export class Ledger {
  readonly #entries: Map<string, string>;
  readonly #save: (entries: Record<string, string>) => void;
  readonly #log: Log;
  #saving: NodeJS.Immediate | undefined;

  constructor(entries: Record<string, string>, save: (entries: Record<string, string>) => void, log: Log) {
    this.#entries = new Map(Object.entries(entries));
    this.#save = save;
    this.#log = log;
  }

  /** Content of the file, when it is what was written for that purpose. */
  intact(path: string, purpose: string): string | undefined {
    const entry = this.#entries.get(path);
    if (entry === undefined) return undefined;
    const content = readIfPresent(path);
    return content !== undefined && entry === `${purpose} ${sha256(content)}` ? content : undefined;
  }

  remember(path: string, purpose: string, content: string): void {
    const entry = `${purpose} ${sha256(content)}`;
    if (this.#entries.get(path) === entry) return;
    this.#entries.set(path, entry);
    // Many come at once when a host is made: written once.
    this.#saving ??= setImmediate(() => {
      this.#saving = undefined;
      try {
        this.#save(Object.fromEntries(this.#entries));
      } catch (error) {
        this.#log.warn('the ledger is not saved', { error: (error as Error).message });
      }
    });
  }
}
