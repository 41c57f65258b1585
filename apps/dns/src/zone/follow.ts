import { type KubeClient, type KubeObject, type Watch, watchObjects } from '@rancher/kube-watch';
import type { ClusterZone } from './cluster-zone.ts';
import {
  type EndpointSlice,
  type EndpointSliceObject,
  pruneService,
  pruneSlice,
  type Service,
  type ServiceObject,
} from './objects.ts';
import { readSnapshot, type Snapshot, writeSnapshot } from './snapshot.ts';

export interface Following {
  /** Whether the names are those of the cluster, now or as last known. */
  isReady(): boolean;
  /** What is wrong with the watches; undefined while all are up. */
  error(): string | undefined;
  /** Keeps what is known on disk, and ends. */
  stop(): void;
}

interface Options {
  client: KubeClient;
  zone: ClusterZone;
  snapshotPath: string;
  onReady: () => void;
  log: (message: string) => void;
}

/** How long changes gather before they are written to disk. */
const snapshotDelayMs = 15_000;

/** Keeps a zone like the cluster's objects; what was last known of them is there at once, from disk. */
export function follow({ client, zone, snapshotPath, onReady, log }: Options): Following {
  const known = readSnapshot(snapshotPath);
  let ready = false;
  let due: NodeJS.Timeout | undefined;
  let flushing = false;
  if (known !== undefined) {
    load(zone, known);
    becomeReady();
  }

  const shared = { client, onError: (message: string) => log(message) };
  const services = watchObjects<ServiceObject, Service>({
    ...shared,
    path: '/api/v1/services',
    prune: pruneService,
    known: known?.services ?? [],
    onEvent: (event) => {
      zone.setService(event.key, event.type === 'set' ? event.object : undefined);
      changed();
    },
  });
  const slices = watchObjects<EndpointSliceObject, EndpointSlice>({
    ...shared,
    path: '/apis/discovery.k8s.io/v1/endpointslices',
    prune: pruneSlice,
    known: known?.slices ?? [],
    onEvent: (event) => {
      zone.setSlice(event.key, event.type === 'set' ? event.object : undefined);
      changed();
    },
  });
  const namespaces = watchObjects<KubeObject, true>({
    ...shared,
    path: '/api/v1/namespaces',
    prune: () => true,
    known: known?.namespaces.map((name): [string, true] => [name, true]) ?? [],
    onEvent: (event) => {
      zone.setNamespace(event.key, event.type === 'set');
      changed();
    },
  });
  const watches: Watch<unknown>[] = [services, slices, namespaces];
  void Promise.all(watches.map((w) => w.synced)).then(() => {
    zone.flush();
    becomeReady();
    save();
  });

  function becomeReady(): void {
    if (ready) return;
    ready = true;
    onReady();
  }

  function changed(): void {
    due ??= setTimeout(save, snapshotDelayMs);
    if (flushing) return;
    flushing = true;
    // What comes in one piece takes effect in one.
    setImmediate(() => {
      flushing = false;
      zone.flush();
    });
  }

  function save(): void {
    clearTimeout(due);
    due = undefined;
    try {
      writeSnapshot(snapshotPath, {
        services: [...services.objects],
        slices: [...slices.objects],
        namespaces: [...namespaces.objects.keys()],
      });
    } catch (error) {
      log(`the names were not kept on disk: ${(error as Error).message}`);
    }
  }

  return {
    isReady: () => ready,
    error: () => watches.map((w) => w.error).find((e) => e !== undefined),
    stop: () => {
      for (const watch of watches) watch.stop();
      if (ready && due !== undefined) save();
    },
  };
}

function load(zone: ClusterZone, snapshot: Snapshot): void {
  for (const [key, service] of snapshot.services) zone.setService(key, service);
  for (const [key, slice] of snapshot.slices) zone.setSlice(key, slice);
  for (const name of snapshot.namespaces) zone.setNamespace(name, true);
  zone.flush();
}
