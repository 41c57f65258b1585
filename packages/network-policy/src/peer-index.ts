/**
 * Which pods each selector of a policy's peers selects, kept in step change by change: what a pod's coming or going costs
 * grows with the number of different selectors, not with the number of pods.
 */
import { type Family, familyOf } from './address.ts';
import { type Namespace, type Peer, type Pod, podKey } from './objects.ts';
import { selects } from './selector.ts';

export type PodPeer = Extract<Peer, { kind: 'pods' }>;

interface Entry {
  peer: PodPeer;
  pods: Map<string, Pod>;
  /** Made when asked for, dropped when the pods change. */
  addresses: Partial<Record<Family, ReadonlySet<string>>>;
  used: boolean;
}

export class PeerIndex {
  readonly #pods = new Map<string, Pod>();
  readonly #namespaces = new Map<string, Record<string, string>>();
  readonly #entries = new Map<string, Entry>();

  /** Whether any selector's pods changed. */
  setPod(pod: Pod): boolean {
    this.#pods.set(podKey(pod), pod);
    return this.#placeInAll(pod);
  }

  /** Whether any selector's pods changed. */
  removePod(key: string): boolean {
    this.#pods.delete(key);
    let changed = false;
    for (const entry of this.#entries.values()) {
      if (!entry.pods.delete(key)) continue;
      entry.addresses = {};
      changed = true;
    }
    return changed;
  }

  setNamespace({ name, labels }: Namespace): void {
    this.#namespaces.set(name, labels);
    this.#placeAll(name);
  }

  removeNamespace(name: string): void {
    this.#namespaces.delete(name);
    this.#placeAll(name);
  }

  /** Addresses of the pods that `peer` selects: the same object each time until they change. */
  addresses(peer: PodPeer, family: Family): ReadonlySet<string> {
    const entry = this.#entry(peer);
    let found = entry.addresses[family];
    if (!found) {
      const all = [...entry.pods.values()].flatMap((pod) => pod.addresses);
      found = new Set(all.filter((address) => familyOf(address) === family));
      entry.addresses[family] = found;
    }
    return found;
  }

  /** The pods that `peer` selects. */
  pods(peer: PodPeer): Iterable<Pod> {
    return this.#entry(peer).pods.values();
  }

  /** Forgets the selectors that were not asked for since the last call. */
  forgetUnused(): void {
    for (const [key, entry] of this.#entries) {
      if (entry.used) entry.used = false;
      else this.#entries.delete(key);
    }
  }

  #entry(peer: PodPeer): Entry {
    const key = peerKey(peer);
    let entry = this.#entries.get(key);
    if (!entry) {
      entry = { peer, pods: new Map(), addresses: {}, used: true };
      this.#entries.set(key, entry);
      for (const pod of this.#pods.values()) this.#place(entry, pod);
    }
    entry.used = true;
    return entry;
  }

  #placeAll(namespace: string): void {
    for (const pod of this.#pods.values()) if (pod.namespace === namespace) this.#placeInAll(pod);
  }

  #placeInAll(pod: Pod): boolean {
    let changed = false;
    for (const entry of this.#entries.values()) if (this.#place(entry, pod)) changed = true;
    return changed;
  }

  #place(entry: Entry, pod: Pod): boolean {
    const key = podKey(pod);
    const before = entry.pods.get(key);
    const selected = this.#selects(entry.peer, pod);
    if (before === (selected ? pod : undefined)) return false;
    if (selected) entry.pods.set(key, pod);
    else entry.pods.delete(key);
    if (before?.addresses.join() !== (selected ? pod.addresses.join() : undefined)) entry.addresses = {};
    return true;
  }

  /** A namespace that is not known has no labels: only a selector that wants none finds its pods. */
  #selects({ namespaces, pods }: PodPeer, pod: Pod): boolean {
    const inNamespace =
      'name' in namespaces
        ? namespaces.name === pod.namespace
        : selects(namespaces.selector, this.#namespaces.get(pod.namespace) ?? {});
    return inNamespace && selects(pods, pod.labels);
  }
}

/** Peers of the same pods have the same key. */
export function peerKey({ namespaces, pods }: PodPeer): string {
  const scope = 'name' in namespaces ? `in ${namespaces.name}` : `where ${namespaces.selector.key}`;
  return `${scope} ${pods.key}`;
}
