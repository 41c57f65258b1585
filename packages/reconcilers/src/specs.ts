import { type ComponentContext, components, type Peer } from '@rancher/components';
import { contentHash, type InstanceSpec } from '@rancher/domain';
import type { Placement } from '@rancher/planner';
import { type EnvironmentRow, type HostRow, lastingFacts } from './world.ts';

export interface RenderedSpec {
  hash: string;
  spec: InstanceSpec;
}

/** What a service should run on a host. Throws for a host that has told no facts. */
export type Render = (service: string, hostId: string) => RenderedSpec;

const rooms = new Map(components.map((c) => [c.name, c]));

/**
 * Rendered specs by what they were rendered from: rendering is pure, and the same hosts are looked at again and again.
 * Bounded; the oldest go first.
 */
export class SpecCache {
  readonly #rendered = new Map<string, RenderedSpec>();
  readonly #limit: number;

  constructor(limit = 20_000) {
    this.#limit = limit;
  }

  /** The renderer for one environment as it is placed now. */
  renderer(
    environment: EnvironmentRow,
    hosts: readonly HostRow[],
    placement: ReadonlyMap<string, Placement>,
  ): Render {
    const byId = new Map(hosts.map((h) => [h.id, h]));
    const peers = (placed: 'etcd' | 'control-plane') => peersOf(placed, placement, byId);
    const { id, name, kubernetesVersion, podCidr, serviceCidr, options } = environment;
    const shared = {
      environment: { id, name, kubernetesVersion, podCidr, serviceCidr, options },
      etcd: peers('etcd'),
      apiServers: peers('control-plane'),
    };
    const sharedKey = contentHash(shared);
    const hostKeys = new Map<string, string>();
    return (service, hostId) => {
      const host = byId.get(hostId);
      if (host?.facts == null)
        throw new Error(`Host ${hostId} has told no facts: nothing can be rendered for it`);
      const { facts } = host;
      const context = {
        id: host.id,
        name: host.name,
        address: host.address ?? facts.address,
        labels: host.labels,
        facts,
      };
      const hostKey = hostKeys.get(hostId) ?? contentHash({ ...context, facts: lastingFacts(facts) });
      hostKeys.set(hostId, hostKey);
      return this.#render(`${service} ${sharedKey} ${hostKey}`, service, { ...shared, host: context });
    };
  }

  #render(key: string, service: string, context: ComponentContext): RenderedSpec {
    const known = this.#rendered.get(key);
    if (known !== undefined) return known;
    const room = rooms.get(service);
    if (room === undefined) throw new Error(`There is no component ${service}`);
    const spec = room.spec(context);
    const rendered = { hash: contentHash(spec), spec };
    if (this.#rendered.size >= this.#limit) this.#rendered.delete(this.#rendered.keys().next().value!);
    this.#rendered.set(key, rendered);
    return rendered;
  }
}

function peersOf(
  placed: 'etcd' | 'control-plane',
  placement: ReadonlyMap<string, Placement>,
  hosts: ReadonlyMap<string, HostRow>,
): Peer[] {
  const first = components.find((c) => c.placement === placed);
  const ids = placement.get(first?.name ?? '')?.hosts ?? [];
  return ids.flatMap((id) => {
    const host = hosts.get(id);
    const address = host?.address ?? host?.facts?.address;
    return host === undefined || address === undefined ? [] : [{ name: host.name, address }];
  });
}
