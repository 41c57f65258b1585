import { spawnSync } from 'node:child_process';

/** What kube-proxy can work with on a host. */
export interface Firewalls {
  nftables: boolean;
  iptables: boolean;
}

/** Whether a program ends well with that input. */
export type Succeeds = (file: string, args: readonly string[], input?: string) => boolean;

/**
 * What kube-proxy's nftables mode is made of (KEP-3866): verdict maps over concatenations, random choice, local addresses
 * by the routing table, masquerading. `nft --check` has the kernel judge it, and changes nothing.
 */
const sample = `table ip rancher-check {
  map services { type ipv4_addr . inet_proto . inet_service : verdict; }
  chain choice {
    numgen random mod 2 vmap { 0 : accept, 1 : accept }
    fib daddr type local ip daddr . meta l4proto . th dport vmap @services
  }
  chain postrouting {
    type nat hook postrouting priority srcnat;
    meta mark & 0x4000 != 0 masquerade fully-random
  }
}
`;

/** What this host's programs and its kernel can do together: a program alone says nothing of the kernel. */
export function findFirewalls(succeeds: Succeeds = runs): Firewalls {
  return {
    nftables: succeeds('nft', ['--check', '--file', '-'], sample),
    iptables: succeeds('iptables', ['--wait', '--table', 'nat', '--numeric', '--list']),
  };
}

const timeoutMs = 10_000;

function runs(file: string, args: readonly string[], input = ''): boolean {
  const path = [process.env.PATH, '/usr/local/sbin', '/usr/sbin', '/sbin'].join(':');
  const env = { ...process.env, PATH: path };
  return (
    spawnSync(file, args, { input, env, timeout: timeoutMs, stdio: ['pipe', 'ignore', 'ignore'] }).status ===
    0
  );
}
