import type { Health, InstanceState } from './states.ts';

/** What an agent says of one instance. */
export interface ObservedInstance {
  id: string;
  service: string;
  specHash: string;
  state: Exclude<InstanceState, 'unknown' | 'removed'>;
  health: Health;
  /** Process id as seen on the machine. */
  pid?: number;
  startedAt?: string;
  /** When it first answered its probe. */
  healthyAt?: string;
  exitedAt?: string;
  exit?: { code: number | null; signal: string | null };
  /** Restarts that the agent did by itself, while no server answered. */
  restarts: number;
  /** What was last wrong, in words: the failed probe, the exit, the file that is missing. */
  message?: string;
  /** Last lines of its log; sent when it exits or becomes unhealthy. */
  logTail?: string[];
  certificates: { path: string; notAfter: string }[];
}

/** A file system by a folder on it, with its size and what is free, in bytes. */
export interface FullDisk {
  path: string;
  bytes: number;
  freeBytes: number;
}

export interface HostFacts {
  agentVersion: string;
  hostname: string;
  /** The address other hosts reach it at. */
  address: string;
  os: string;
  arch: 'amd64' | 'arm64';
  kernel: string;
  cores: number;
  memoryBytes: number;
  diskBytes: number;
  diskFreeBytes: number;
  /** Of the disks that its services write to, the one with the least room, when it is nearly full. Absent: none is. */
  fullDisk?: FullDisk;
  cgroupVersion: 1 | 2;
  /** `systemd` where systemd runs as process 1, else `cgroupfs`. */
  cgroupDriver: 'systemd' | 'cgroupfs';
  /** Path of the host's own cgroup below each controller's root, without a trailing slash. */
  cgroupRoot: string;
  nftables: boolean;
  iptables: boolean;
  /** CAP_SYS_RESOURCE: without it, oom_score_adj can only be raised. */
  sysResource: boolean;
  /**
   * Name servers of the host's /etc/resolv.conf that it can reach, such as those behind a stub on 127.0.0.53. Absent or
   * empty: names outside the cluster do not resolve.
   */
  nameservers?: string[];
  /**
   * Tells machines apart, whatever disk they were started from: a hash of the machine id, the hardware's UUID and the
   * MAC address of the way out. Absent on local hosts, which share a machine.
   */
  machineFingerprint?: string;
  /** What carries instances out; `simulated` hosts have no cluster behind them. Absent: as before. */
  runtime?: 'process' | 'simulated';
  /** Whether there is /dev/kvm. */
  kvm?: boolean;
  /** Process id of the agent, as seen on the machine. */
  agentPid: number;
  /** Whether this agent can make local hosts (root, namespaces, a bridge). */
  localHosts: boolean;
}

/** The whole truth of a host, sent on connecting and whenever something changed. */
export interface Inventory {
  /** Generation of the plan that was last applied; 0 = none yet. */
  generation: number;
  instances: ObservedInstance[];
}
