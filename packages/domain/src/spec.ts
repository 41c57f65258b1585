/**
 * What an agent is asked to run. A spec is data: the component's room renders it, the planner compares it by its hash,
 * the agent carries it out without knowing what an API server is.
 */
export interface InstanceSpec {
  /** The component's room that made this: `etcd`, `kube-apiserver`, … Also the service's name in the system stack. */
  component: string;
  /** Version of the program that runs, without a leading v. */
  version: string;
  artifacts: ArtifactUse[];
  /** Argument vector; the first element is an absolute path on the host. */
  command: string[];
  env: Record<string, string>;
  directories: { path: string; mode: number }[];
  /** Folders of data that are wiped when no instance of the host names them any more. */
  dataDirectories?: string[];
  /** Data that is made once from other data of the host, before the first start. */
  seed?: SeedSpec;
  files: FileSpec[];
  /** How a process that runs is brought to what its `live` files say; absent: it looks for itself. */
  reload?: ReloadSpec;
  secrets: SecretFileSpec[];
  certificates: CertificateSpec[];
  /** Addresses that must exist on the host before the start, on a dummy interface, such as the cluster DNS address. */
  addresses: string[];
  probe: ProbeSpec;
  stop: { signal: 'SIGTERM' | 'SIGINT'; graceMs: number };
  oomScoreAdj: number;
  /**
   * Sub-cgroups (relative to the host's cgroup) that must exist in every controller before the start: kubelet does not
   * make its own `cgroupRoot`.
   */
  cgroups: string[];
}

/**
 * A folder of data that a command makes once, as a whole or not at all. Once it was made it is never made again, whatever
 * becomes of it: what it came from is older by then.
 */
export interface SeedSpec {
  path: string;
  /** The folder that it is made from, which stays as it is. */
  from: string;
  /** Argument vector, in which {@link seedTarget} stands for the folder to write. */
  command: string[];
}

export const seedTarget = '{target}';

/** The file that says that a seed was made. */
export const seedMarker = (path: string) => `${path}.made`;

/** A set of files of one pinned version, kept under `hostPaths.artifacts/<name>-<version>/`. */
export interface ArtifactRef {
  name: string;
  version: string;
}

/** What an instance needs of an artifact. */
export interface ArtifactUse extends ArtifactRef {
  /** Absent: all of its files. */
  files?: string[];
}

export interface FileSpec {
  path: string;
  mode: number;
  content: string;
  /** It may change while the process runs: it is written in place, and the process told by `reload`. */
  live?: true;
}

/** Commands for the process's own control socket, one line of them, separated by `; `. All of them each time. */
export interface ReloadSpec {
  socketPath: string;
  commands: string[];
  /** Regular expression for a line of the answer that is a refusal. */
  refused: string;
}

/** The spec without what may change while the process runs: where this is the same, it need not be started anew. */
export function startPart(spec: InstanceSpec): InstanceSpec {
  const { reload: _, ...rest } = spec;
  return { ...rest, files: spec.files.map((f) => (f.live === true ? { ...f, content: '' } : f)) };
}

/** A file whose content is a secret of the environment: named here, delivered to the agent apart, never in a plan. */
export interface SecretFileSpec {
  path: string;
  mode: number;
  secret: string;
}

export const authorityNames = ['kubernetes', 'etcd', 'front-proxy'] as const;
/** The certificate authorities that every environment has of its own. */
export type AuthorityName = (typeof authorityNames)[number];

/**
 * A certificate that the host holds. The agent makes the key where it is used and sends the public half; the server
 * signs exactly this description, nothing that the agent says. Renewed at two thirds of its life.
 */
export interface CertificateSpec {
  certPath: string;
  keyPath: string;
  /** Where the authority's own certificate is written beside it. */
  caPath: string;
  authority: AuthorityName;
  commonName: string;
  organizations: string[];
  dnsNames: string[];
  ipAddresses: string[];
  usages: ('server' | 'client')[];
}

/** As Kubernetes' probes: one handler, a period, a threshold. Times in milliseconds. */
export interface ProbeSpec {
  httpGet?: { scheme: 'http' | 'https'; host: string; port: number; path: string };
  tcpSocket?: { host: string; port: number };
  exec?: { command: string[] };
  /** gRPC health checking protocol v1 on a unix socket. */
  grpc?: { socketPath: string };
  periodMs: number;
  timeoutMs: number;
  failureThreshold: number;
  /** How long it may be `initializing` before it counts as unhealthy. */
  initialTimeoutMs: number;
}

/** Default probe times: every second, three failures (DESIGN, "What happens when something breaks"). */
export const probeDefaults = {
  periodMs: 1000,
  timeoutMs: 1000,
  failureThreshold: 3,
  initialTimeoutMs: 60_000,
} as const;

/**
 * Where things are on every host, seen from inside it. A local host sees its own `/var/lib`, `/var/log`, `/run`; so the
 * paths, and the specs, are the same on every kind of host.
 */
export const hostPaths = {
  agent: '/var/lib/rancher-agent',
  artifacts: '/var/lib/rancher-agent/artifacts',
  services: '/var/lib/rancher-agent/services',
  /** {@link Metadata}, written anew by rename whenever it changes. */
  metadata: '/var/lib/rancher-agent/metadata.json',
  /** What the CNI daemon keeps while the host is up; below it `attachments`, a file for each interface of a pod. */
  cniRun: '/run/rancher-cni',
  cniConf: '/var/lib/rancher-agent/cni/net.d',
  kubelet: '/var/lib/kubelet',
  podLogs: '/var/log/pods',
  /** Not containerd's defaults: those are of the machine's own containerd, such as Docker's. */
  containerd: '/var/lib/rancher-agent/containerd',
  containerdState: '/run/rancher-containerd',
  containerdSocket: '/run/rancher-containerd/containerd.sock',
  etcd: '/var/lib/etcd',
  /** The Node that runs our own programs: the agent's own. The agent sees to it that it is there. */
  node: '/run/rancher/node',
} as const;

/** Absolute path of a program of an artifact on a host. */
export function artifactPath(artifact: ArtifactRef, file: string): string {
  return `${hostPaths.artifacts}/${artifact.name}-${artifact.version}/${file}`;
}

/** The folder that one service has on a host for its configuration, keys and log. */
export function servicePath(service: string, file = ''): string {
  return `${hostPaths.services}/${service}${file === '' ? '' : `/${file}`}`;
}
