import type { ProcessIdentity } from '@rancher/runtimes';
import { readJson, writeFileIfChanged } from '../files.ts';
import { recordsFile } from './names.ts';

/** What is kept of one local host. */
export interface LocalHostRecord {
  hostId: string;
  name: string;
  environmentId: string;
  /** Folder below `<home>/hosts`. */
  folder: string;
  address: string;
  /** Name of its network; absent: the default one. */
  network?: string;
  /** Its first process; absent while it is not running. */
  init?: ProcessIdentity;
}

/** The installation's local hosts, on disk so that another agent, `down` and `purge` know them. */
export class Records {
  readonly #file: string;
  readonly #records: Map<string, LocalHostRecord>;

  constructor(home: string) {
    this.#file = recordsFile(home);
    const kept = readJson<LocalHostRecord[]>(this.#file) ?? [];
    this.#records = new Map(kept.map((record) => [record.hostId, record]));
  }

  all(): LocalHostRecord[] {
    return [...this.#records.values()];
  }

  get(hostId: string): LocalHostRecord | undefined {
    return this.#records.get(hostId);
  }

  set(record: LocalHostRecord): void {
    this.#records.set(record.hostId, record);
    this.#save();
  }

  delete(hostId: string): void {
    this.#records.delete(hostId);
    this.#save();
  }

  #save(): void {
    writeFileIfChanged(this.#file, JSON.stringify(this.all(), null, 2), 0o600);
  }
}
