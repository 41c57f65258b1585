import { readFileSync } from 'node:fs';
import type { KubeAccess } from '@rancher/kube-watch';

/** What the daemon is told on its start, in a file that the component's room writes. */
export interface DaemonConfig {
  /** Name of this host's Node. */
  nodeName: string;
  /** The address that other hosts reach this one at. */
  address: string;
  /** The whole cluster's block of pod addresses. */
  podCidr: string;
  /** Folder of the reference CNI plugins. */
  plugins: string;
  kubernetes: KubeAccess;
  /** The cluster DNS: address of its Service, and the one it is answered at on every host. */
  dns: { service: string; local: string };
  /** Port on loopback for `/healthz`. */
  healthPort: number;
  /** UDP port of the overlay, the same on all hosts. */
  vxlanPort: number;
  /** `nftables` where the host has it, else `iptables`. */
  firewall: 'nftables' | 'iptables';
  /** Unix socket where the plugin's front asks. */
  socket: string;
  /** Attachments and reserved addresses; below /run, as they end with the host's life. */
  stateDir: string;
}

export function readConfig(path: string): DaemonConfig {
  return JSON.parse(readFileSync(path, 'utf8')) as DaemonConfig;
}
