import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Slice } from '@rancher/contracts';
import { readIfPresent, readJson, writeFileIfChanged } from '../files.ts';

export interface Credential {
  hostId: string;
  credential: string;
}

/** What the agent keeps on disk: who this host is, and what it is to run while no server answers. */
export class StateDir {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
    mkdirSync(path, { recursive: true, mode: 0o700 });
  }

  get credential(): Credential | undefined {
    return readJson<Credential>(this.#file('credential'));
  }
  set credential(value: Credential) {
    writeFileIfChanged(this.#file('credential'), JSON.stringify(value), 0o600);
  }

  /** The last slice that was applied, with every spec it needs. */
  get slice(): Slice | undefined {
    return readJson<Slice>(this.#file('slice.json'));
  }
  set slice(value: Slice) {
    writeFileIfChanged(this.#file('slice.json'), JSON.stringify(value), 0o600);
  }

  /** When each instance first answered its probe (RFC 3339), by its id: not to be forgotten with the agent. */
  get healthyAt(): Record<string, string> {
    return readJson<Record<string, string>>(this.#file('healthy-at.json')) ?? {};
  }
  set healthyAt(value: Record<string, string>) {
    writeFileIfChanged(this.#file('healthy-at.json'), JSON.stringify(value), 0o600);
  }

  /** Digests of delivered files, see Ledger. */
  get ledger(): Record<string, string> {
    return readJson<Record<string, string>>(this.#file('ledger.json')) ?? {};
  }
  set ledger(value: Record<string, string>) {
    writeFileIfChanged(this.#file('ledger.json'), JSON.stringify(value), 0o600);
  }

  /** What was to run is not to be started from here. */
  forgetSlice(): void {
    for (const name of ['slice.json', 'healthy-at.json']) rmSync(this.#file(name), { force: true });
  }

  /** The host is no more: nothing of who it was stays. */
  forget(): void {
    this.forgetSlice();
    for (const name of ['credential', 'ledger.json', 'metadata.json']) {
      rmSync(this.#file(name), { force: true });
    }
  }

  /** Whether a file of that name is there, such as what `down` leaves. */
  has(name: string): boolean {
    return readIfPresent(this.#file(name)) !== undefined;
  }

  #file(name: string): string {
    return join(this.path, name);
  }
}
