/** What one host knows of pods, namespaces and policies, and the ruleset that follows from it. */
import { compile } from './compile.ts';
import { type Namespace, type Pod, type Policy, podKey } from './objects.ts';
import { PeerIndex } from './peer-index.ts';
import type { Ruleset } from './ruleset.ts';

/** A pod's place in this host's network, as the CNI plugin made it: known before the cluster knows the address. */
export interface Attachment {
  /** Of the container and its interface. */
  id: string;
  namespace: string;
  name: string;
  /** Empty where the runtime does not tell. */
  uid: string;
  addresses: string[];
}

/** A service that runs on every host itself, and that policies are to see as the pod it is elsewhere. */
export interface HostService {
  pod: Pod;
  /** Address of its Service. */
  serviceAddress: string;
}

export class HostPolicies {
  readonly #node: string;
  readonly #services: HostService[];
  readonly #pods = new Map<string, Pod>();
  readonly #local = new Set<string>();
  readonly #attachments = new Map<string, Attachment>();
  readonly #policies = new Map<string, Map<string, Policy>>();
  readonly #peers = new PeerIndex();

  /** `node`: this host's Node. */
  constructor(node: string, services: HostService[] = []) {
    this.#node = node;
    this.#services = services;
    for (const { pod } of services) this.#peers.setPod(pod);
  }

  /** Whether the ruleset may be another now. */
  setPod(pod: Pod): boolean {
    const key = podKey(pod);
    const before = this.#pods.get(key);
    if (before !== undefined && same(before, pod)) return false;
    this.#pods.set(key, pod);
    const wasLocal = this.#local.has(key);
    if (pod.node === this.#node) this.#local.add(key);
    else this.#local.delete(key);
    const isPeer = this.#peers.setPod(this.#placed(pod));
    return isPeer || wasLocal || this.#local.has(key);
  }

  /** Whether the ruleset may be another now. */
  removePod(key: string): boolean {
    this.#pods.delete(key);
    const wasLocal = this.#local.delete(key);
    return this.#peers.removePod(key) || wasLocal;
  }

  setNamespace(namespace: Namespace): void {
    this.#peers.setNamespace(namespace);
  }

  removeNamespace(name: string): void {
    this.#peers.removeNamespace(name);
  }

  setPolicy(policy: Policy): void {
    const own = this.#policies.get(policy.namespace) ?? new Map<string, Policy>();
    this.#policies.set(policy.namespace, own.set(policy.name, policy));
  }

  removePolicy(namespace: string, name: string): void {
    const own = this.#policies.get(namespace);
    own?.delete(name);
    if (own?.size === 0) this.#policies.delete(namespace);
  }

  attach(attachment: Attachment): void {
    this.#attachments.set(attachment.id, attachment);
    this.#replace(attachment);
  }

  detach(id: string): void {
    const attachment = this.#attachments.get(id);
    if (!attachment) return;
    this.#attachments.delete(id);
    this.#replace(attachment);
  }

  /** Whether the pod of an attachment is known; where its namespace has policies, it is closed until then. */
  knows(attachment: Attachment): boolean {
    return this.#podOf(attachment) !== undefined;
  }

  /** Whether a namespace has any policy; without one, none of its pods can be isolated. */
  hasPolicies(namespace: string): boolean {
    return this.#policies.has(namespace);
  }

  ruleset(): Ruleset {
    const attached = new Set([...this.#attachments.values()].flatMap((each) => each.addresses));
    const strangers = [...this.#attachments.values()].filter(
      (each) => this.hasPolicies(each.namespace) && !this.knows(each),
    );
    const ruleset = compile({
      policies: new Map([...this.#policies].map(([namespace, own]) => [namespace, [...own.values()]])),
      pods: [...this.#local].map((key) => this.#placed(this.#pods.get(key)!, attached)),
      unknown: strangers.flatMap((each) => each.addresses),
      peers: this.#peers,
      aliases: new Map(this.#services.map((s) => [s.serviceAddress, s.pod.addresses[0]!])),
    });
    this.#peers.forgetUnused();
    return ruleset;
  }

  /** Figures for the metrics. */
  size(): { pods: number; policies: number; attachments: number } {
    const policies = [...this.#policies.values()].reduce((sum, own) => sum + own.size, 0);
    return { pods: this.#pods.size, policies, attachments: this.#attachments.size };
  }

  /**
   * A pod with the addresses that it has now. Of a pod of this host the attachments know best: what its status says is late,
   * and an address that it names may be another pod's by now.
   */
  #placed(pod: Pod, attached?: Set<string>): Pod {
    if (pod.node !== this.#node) return pod;
    const own = [...this.#attachments.values()].filter((each) => this.#podOf(each) === pod);
    if (own.length > 0) return { ...pod, addresses: own.flatMap((each) => each.addresses) };
    const taken = attached ?? new Set([...this.#attachments.values()].flatMap((each) => each.addresses));
    return { ...pod, addresses: pod.addresses.filter((address) => !taken.has(address)) };
  }

  #podOf({ namespace, name, uid }: Attachment): Pod | undefined {
    const pod = this.#pods.get(podKey({ namespace, name }));
    return pod && (uid === '' || uid === pod.uid) ? pod : undefined;
  }

  #replace(attachment: Attachment): void {
    const pod = this.#pods.get(podKey(attachment));
    if (pod) this.#peers.setPod(this.#placed(pod));
  }
}

function same(a: Pod, b: Pod): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
