/** Looking into the network of an environment's hosts and pods from the machine, by entering their namespaces. */
import { sharedCacheDir } from '@rancher/artifacts';
import { hostPaths } from '@rancher/domain';
import { type Installation, type Result, run, until } from './installation.ts';

export interface Place {
  name: string;
  /** A process in its network namespace. */
  pid: number;
  address: string;
}

/** Runs a program of the machine in the network of a host or a pod. */
export function at(place: Place, command: string[], options: { mounts?: boolean } = {}): Promise<Result> {
  const namespaces = options.mounts === true ? ['-m', '-n'] : ['-n'];
  return run('nsenter', ['-t', String(place.pid), ...namespaces, ...command], { timeoutMs: 60_000 });
}

/** As {@link at}; throws with what was said when it fails. */
export async function mustAt(
  place: Place,
  command: string[],
  options: { mounts?: boolean } = {},
): Promise<string> {
  const { code, stdout, stderr } = await at(place, command, options);
  if (code !== 0) throw new Error(`${place.name}: ${command.join(' ')} → ${code} ${stdout} ${stderr}`);
  return stdout;
}

/** The page that a web server answers a place with. */
export function ask(place: Place, address: string, path = '/cgi-bin/who'): Promise<string> {
  return mustAt(place, ['curl', '-sSf', '--max-time', '10', `http://${address}${path}`]);
}

interface NodeList {
  items: {
    metadata: { name: string };
    spec: { podCIDR?: string };
    status: { addresses: { type: string; address: string }[] };
  }[];
}

export async function nodes(
  rancher: Installation,
): Promise<{ name: string; address: string; podCidr: string | undefined }[]> {
  const list = JSON.parse(await rancher.kubectl(['get', 'nodes', '-o', 'json'])) as NodeList;
  return list.items.map(({ metadata, spec, status }) => ({
    name: metadata.name,
    address: status.addresses.find((a) => a.type === 'InternalIP')!.address,
    podCidr: spec.podCIDR,
  }));
}

/** The environment's hosts, entered by their containerd. */
export async function hosts(rancher: Installation): Promise<Place[]> {
  const [all, instances] = [await nodes(rancher), await rancher.instances()];
  return all.map(({ name, address }) => {
    const pid = instances.find((i) => i.host === name && i.component === 'containerd')?.pid;
    if (typeof pid !== 'number') throw new Error(`containerd of ${name} does not run`);
    return { name, address, pid };
  });
}

interface PodList {
  items: {
    metadata: { name: string; deletionTimestamp?: string };
    spec: { nodeName?: string };
    status: { podIP?: string; containerStatuses?: { ready: boolean; containerID?: string }[] };
  }[];
}

export interface PodPlace extends Place {
  host: string;
}

/** The pods of a selector, as soon as there are so many and all are ready. */
export async function podPlaces(rancher: Installation, selector: string, count: number): Promise<PodPlace[]> {
  const pods = await until(`${count} pods of ${selector} are ready`, async () => {
    const list = JSON.parse(await rancher.kubectl(['get', 'pods', '-l', selector, '-o', 'json'])) as PodList;
    const live = list.items.filter((p) => p.metadata.deletionTimestamp === undefined);
    const ready = live.filter((p) => p.status.containerStatuses?.every((c) => c.ready) === true);
    return ready.length === count && live.length === count ? ready : undefined;
  });
  const pids = new Map<string, number>();
  for (const host of await hosts(rancher)) for (const [id, pid] of await tasks(host)) pids.set(id, pid);
  return pods
    .map(({ metadata, spec, status }) => ({
      name: metadata.name,
      host: spec.nodeName!,
      address: status.podIP!,
      pid: pids.get(status.containerStatuses![0]!.containerID!.replace('containerd://', ''))!,
    }))
    .sort((a, b) => (a.host < b.host ? -1 : 1));
}

/** Containers of a host, with their first process. */
async function tasks(host: Place): Promise<[string, number][]> {
  const cache = sharedCacheDir();
  const socket = `/proc/${host.pid}/root${hostPaths.containerdSocket}`;
  const { stdout } = await run(`${cache}/artifacts/containerd-2.3.7/ctr`, [
    ...['-a', socket, '-n', 'k8s.io', 'task', 'ls'],
  ]);
  return [...stdout.matchAll(/^([0-9a-f]{64})\s+(\d+)\s+RUNNING/gm)].map(([, id, pid]) => [id!, Number(pid)]);
}
