import { type ComponentContext, components, type EtcdMember, type Peer } from '@rancher/components';
import { contentHash, type InstanceSpec, startPart } from '@rancher/domain';
import type { Placement } from '@rancher/planner';
import { type EnvironmentRow, type HostRow, lastingFacts, type MemberRow } from './world.ts';

export interface RenderedSpec {
  hash: string;
  /** Hash of what it must be started anew for. */
  startHash: string;
  spec: InstanceSpec;
}

/** What a service should run on a host. Throws for a host that has told no facts. */
export type Render = (service: string, hostId: string) => RenderedSpec;

/** What specs are rendered from: an environment as it is placed now. */
interface Scene {
  environment: EnvironmentRow;
  hosts: readonly HostRow[];
  members: readonly MemberRow[];
  placement: ReadonlyMap<string, Placement>;
}

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
  renderer({ environment, hosts, placement, members }: Scene): Render {
    const byId = new Map(hosts.map((h) => [h.id, h]));
    const { id, name, kubernetesVersion, podCidr, serviceCidr, controlPlaneReplicas } = environment;
    const { options, etcdRecovery } = environment;
    const voters = members.filter((m) => m.voting).map((m) => m.hostId);
    const etcdHosts = hostsOf('etcd', placement);
    const shared = {
      environment: {
        ...{ id, name, kubernetesVersion, podCidr, serviceCidr, controlPlaneReplicas },
        ...{ options, etcdRecovery },
      },
      etcd: peersOf(voters, byId),
      apiServers: peersOf(hostsOf('control-plane', placement), byId),
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
        // Those of later go to the Node itself: kubelet is not restarted for them.
        labels: host.joinedLabels ?? host.labels,
        facts,
      };
      const own = {
        holdsEtcd: etcdHosts.includes(hostId),
        etcdMember: memberContext(members.find((m) => m.hostId === hostId)),
      };
      const hostKey = hostKeys.get(hostId) ?? contentHash({ ...context, facts: lastingFacts(facts), ...own });
      hostKeys.set(hostId, hostKey);
      return this.#render(`${service} ${sharedKey} ${hostKey}`, service, {
        ...shared,
        ...own,
        host: context,
      });
    };
  }

  #render(key: string, service: string, context: ComponentContext): RenderedSpec {
    const known = this.#rendered.get(key);
    if (known !== undefined) return known;
    const room = rooms.get(service);
    if (room === undefined) throw new Error(`There is no component ${service}`);
    const spec = room.spec(context);
    const rendered = { hash: contentHash(spec), startHash: contentHash(startPart(spec)), spec };
    if (this.#rendered.size >= this.#limit) this.#rendered.delete(this.#rendered.keys().next().value!);
    this.#rendered.set(key, rendered);
    return rendered;
  }
}

/** Only what it starts with: a member that learns or votes must not be started anew for that. */
function memberContext(row: MemberRow | undefined): EtcdMember | null {
  if (row === undefined) return null;
  const { dataDir, initialCluster, initialClusterState, recoveredFrom } = row;
  return { dataDir, initialCluster, initialClusterState, recoveredFrom };
}

function hostsOf(placed: 'etcd' | 'control-plane', placement: Scene['placement']): readonly string[] {
  const first = components.find((c) => c.placement === placed);
  return placement.get(first?.name ?? '')?.hosts ?? [];
}

function peersOf(ids: readonly string[], hosts: ReadonlyMap<string, HostRow>): Peer[] {
  return ids.flatMap((id) => {
    const host = hosts.get(id);
    const address = host?.address ?? host?.facts?.address;
    return host === undefined || address === undefined ? [] : [{ name: host.name, address }];
  });
}
