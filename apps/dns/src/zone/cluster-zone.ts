import { type as recordType } from '../wire/constants.ts';
import type { EndpointSlice, Service } from './objects.ts';
import { addressRecords, fixedRecords, namespaceRecords, type Records, serviceRecords } from './records.ts';
import { AnswerTable } from './table.ts';
import { NameTree } from './tree.ts';
import type { Zones } from './zones.ts';

/**
 * The cluster's names, kept in an {@link AnswerTable}. Changes are told object by object and take effect together at
 * {@link ClusterZone.flush}.
 */
export class ClusterZone {
  table: AnswerTable = AnswerTable.create();
  /** When a name last changed (ms since the epoch); 0 = never. */
  changedAt = 0;
  readonly #zones: Zones;
  readonly #tree = new NameTree();
  readonly #services = new Map<string, Service>();
  readonly #slices = new Map<string, EndpointSlice>();
  readonly #slicesOf = new Map<string, Set<string>>();
  readonly #dirty = new Set<string>();
  readonly #onTable: (table: AnswerTable) => void;

  /** @param onTable told when the table has moved to another block of memory */
  constructor(zones: Zones, serverAddress: string, onTable: (table: AnswerTable) => void = () => {}) {
    this.#zones = zones;
    this.#onTable = onTable;
    for (const zone of zones.all) {
      // From the type on, as in every record.
      const soa = { type: recordType.SOA, bytes: zone.soa.subarray(2) };
      this.#tree.set(`soa ${zone.text}`, new Map([[zone.text, [soa]]]));
    }
    this.#tree.set('fixed', fixedRecords(zones.domain, serverAddress));
    this.flush();
  }

  get names(): number {
    return this.#tree.size;
  }

  setService(key: string, service: Service | undefined): void {
    if (service === undefined) this.#services.delete(key);
    else this.#services.set(key, service);
    this.#dirty.add(key);
  }

  setSlice(key: string, slice: EndpointSlice | undefined): void {
    const before = this.#slices.get(key);
    if (before !== undefined) {
      const keys = this.#slicesOf.get(before.service);
      keys?.delete(key);
      if (keys?.size === 0) this.#slicesOf.delete(before.service);
      this.#dirty.add(before.service);
    }
    if (slice === undefined) {
      this.#slices.delete(key);
      return;
    }
    this.#slices.set(key, slice);
    const keys = this.#slicesOf.get(slice.service) ?? new Set();
    this.#slicesOf.set(slice.service, keys.add(key));
    this.#dirty.add(slice.service);
  }

  setNamespace(name: string, exists: boolean): void {
    this.#tree.set(`namespace ${name}`, exists ? namespaceRecords(name, this.#zones.domain) : new Map());
  }

  /** Rancher's own names, all of them: name → addresses. */
  setOwnNames(names: ReadonlyMap<string, readonly string[]>): void {
    const records: Records = new Map();
    for (const [name, addresses] of names) {
      for (const [text, list] of addressRecords(name, addresses)) records.set(text, list);
    }
    this.#tree.set('own', records);
  }

  /** Puts what was told into the table. */
  flush(): void {
    for (const key of this.#dirty) this.#tree.set(`service ${key}`, this.#recordsOf(key));
    this.#dirty.clear();
    const changes = this.#tree.takeChanges();
    if (changes.length === 0) return;
    for (const [name, prepared] of changes) {
      if (prepared === null) this.table.delete(name);
      else {
        if (!this.table.hasRoom(prepared)) {
          this.table = this.table.compacted(prepared);
          this.#onTable(this.table);
        }
        this.table.put(prepared);
      }
    }
    this.changedAt = Date.now();
  }

  #recordsOf(key: string): Records {
    const service = this.#services.get(key);
    if (service === undefined) return new Map();
    const slices = [...(this.#slicesOf.get(key) ?? [])].sort().map((k) => this.#slices.get(k)!);
    return serviceRecords(key, service, slices, this.#zones.domain);
  }
}
