import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { hostPaths, type Metadata, metadataAddress } from '@rancher/domain';
import { describe } from '../errors.ts';
import { readIfPresent, readJson, writeFileIfChanged } from '../files.ts';
import type { Log } from '../log.ts';
import { lowerAddress, raiseAddress } from './address.ts';
import { Pods } from './pods.ts';
import { MetadataServer } from './server.ts';
import { holderOf, inodeOf } from './sockets.ts';
import type { Caller } from './tree.ts';

const retryMs = 10_000;

/** The metadata of one host: what the server told last, on disk and by HTTP. */
export class HostMetadata {
  readonly #file: string;
  readonly #cgroup: string;
  readonly #hostId: () => string | undefined;
  readonly #log: Log;
  readonly #pods = new Pods(join(hostPaths.cniRun, 'attachments'));
  readonly #server: MetadataServer;
  readonly #closed = new AbortController();
  #metadata: Metadata | undefined;
  #serving = false;

  constructor(parts: { folder: string; cgroup: string; hostId: () => string | undefined; log: Log }) {
    this.#file = join(parts.folder, 'metadata.json');
    this.#cgroup = parts.cgroup;
    this.#hostId = parts.hostId;
    this.#log = parts.log;
    this.#server = new MetadataServer({
      hostId: this.#hostId,
      metadata: () => this.#metadata,
      caller: (address, port, closely) => this.#caller(address, port, closely),
    });
  }

  /** Goes on with what was known before the agent was started. */
  resume(): void {
    this.#metadata = readJson<Metadata>(this.#file);
    if (this.#metadata !== undefined) void this.#serve();
  }

  update(metadata: Metadata): void {
    const before = this.#metadata?.version;
    this.#metadata = metadata;
    if (metadata.version !== before) this.#server.changed();
    try {
      writeFileIfChanged(this.#file, JSON.stringify(metadata), 0o644);
    } catch (error) {
      this.#log.error('metadata is not saved', { error: describe(error) });
    }
    void this.#serve();
  }

  close(): void {
    this.#closed.abort();
    this.#server.close();
  }

  /** The host is no more. */
  async withdraw(): Promise<void> {
    this.close();
    if (this.#serving) await lowerAddress();
  }

  /** Once; what fails, such as for a port that is taken, is tried again for as long as the agent lives. */
  async #serve(): Promise<void> {
    if (this.#serving) return;
    this.#serving = true;
    const { signal } = this.#closed;
    for (let said = ''; !signal.aborted; ) {
      try {
        await this.#server.listen(await raiseAddress(), metadataAddress);
        this.#log.info('metadata is served', { address: metadataAddress });
        return;
      } catch (error) {
        const words = describe(error);
        if (words !== said) this.#log.error('metadata is not served', { error: words });
        said = words;
      }
      await delay(retryMs, undefined, { signal, ref: false }).catch(() => {});
    }
  }

  #caller(address: string, port: number, closely: boolean): Caller | undefined {
    const pod = this.#pods.at(address);
    if (pod !== undefined) return { kind: 'pod', pod };
    if (!isOwn(address)) return undefined;
    const service = closely ? this.#serviceAt(address, port) : undefined;
    return service === undefined ? { kind: 'host' } : { kind: 'host', service };
  }

  #serviceAt(address: string, port: number): string | undefined {
    const inode = inodeOf(readIfPresent('/proc/net/tcp') ?? '', address, port);
    const services = this.#metadata?.services.map((s) => s.name) ?? [];
    return inode === undefined ? undefined : holderOf(inode, this.#cgroup, services);
  }
}

function isOwn(address: string): boolean {
  return Object.values(networkInterfaces())
    .flat()
    .some((a) => a?.address === address);
}
