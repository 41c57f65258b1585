import {
  type KubeClient,
  type KubeObject,
  type Watch,
  type WatchEvent,
  watchObjects,
} from '@rancher/kube-watch';
import {
  type HostPolicies,
  type NamespaceObject,
  namespaceOf,
  type PodObject,
  type PolicyObject,
  podOf,
  policyOf,
} from '@rancher/network-policy';

const policiesPath = '/apis/networking.k8s.io/v1/networkpolicies';

export interface ClusterOptions {
  client: KubeClient;
  /** Told what is there. */
  host: HostPolicies;
  /** What the rules follow from may be otherwise. */
  onChange: () => void;
  onError: (kind: string, message: string) => void;
}

/**
 * Tells a host's policies what the cluster holds. Pods and namespaces are asked for once there is a policy: a cluster
 * without any has no work with them. Keeps what was last known while the API server is away.
 */
export class Cluster {
  readonly #options: ClusterOptions;
  readonly #watches: Watch<unknown>[] = [];
  readonly #synced = new Set<string>();
  #anyPolicy = false;

  constructor(options: ClusterOptions) {
    this.#options = options;
    const { host } = options;
    this.#watch<PolicyObject, ReturnType<typeof policyOf>>('policies', policiesPath, policyOf, (event) => {
      if (event.type === 'set') host.setPolicy(event.object);
      else host.removePolicy(event.previous.namespace, event.previous.name);
      if (event.type === 'set') this.#wantPods();
      return true;
    });
  }

  /** Whether all is known that policies need, if only from before. */
  get ready(): boolean {
    return (
      this.#synced.has('policies') &&
      (!this.#anyPolicy || (this.#synced.has('pods') && this.#synced.has('namespaces')))
    );
  }

  close(): void {
    for (const watch of this.#watches) watch.stop();
  }

  #wantPods(): void {
    if (this.#anyPolicy) return;
    this.#anyPolicy = true;
    const { host } = this.#options;
    this.#watch<PodObject & KubeObject, NonNullable<ReturnType<typeof podOf>>>(
      'pods',
      '/api/v1/pods',
      (object) => podOf(object) ?? undefined,
      (event) => (event.type === 'set' ? host.setPod(event.object) : host.removePod(event.key)),
    );
    this.#watch<NamespaceObject & KubeObject, ReturnType<typeof namespaceOf>>(
      'namespaces',
      '/api/v1/namespaces',
      namespaceOf,
      (event) => {
        if (event.type === 'set') host.setNamespace(event.object);
        else host.removeNamespace(event.key);
        return true;
      },
    );
  }

  #watch<O extends KubeObject, T>(
    kind: string,
    path: string,
    prune: (object: O) => T | undefined,
    take: (event: WatchEvent<T>) => boolean,
  ): void {
    const { client, onChange, onError } = this.#options;
    const watch = watchObjects<O, T>({
      client,
      path,
      prune,
      onEvent: (event) => {
        if (take(event) && this.ready) onChange();
      },
      onSync: () => {
        this.#synced.add(kind);
        if (this.ready) onChange();
      },
      onError: (message) => onError(kind, message),
    });
    this.#watches.push(watch as Watch<unknown>);
  }
}
