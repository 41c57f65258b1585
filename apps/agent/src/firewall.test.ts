import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { findFirewalls } from './firewall.ts';

/** What is found where `nft` and `iptables` are these scripts. */
function foundWith(programs: Record<string, string>) {
  const folder = mkdtempSync(join(tmpdir(), 'rancher-firewall-'));
  try {
    for (const [name, script] of Object.entries(programs)) {
      writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`);
      chmodSync(join(folder, name), 0o755);
    }
    return findFirewalls(
      (file, args, input = '') => spawnSync(join(folder, file), args, { input }).status === 0,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

it('finds what programs and kernel can do together', () => {
  const fine = 'cat >/dev/null';
  expect(foundWith({ nft: fine, iptables: fine })).toEqual({ nftables: true, iptables: true });
  expect(foundWith({ nft: fine })).toEqual({ nftables: true, iptables: false });
  expect(foundWith({ iptables: fine })).toEqual({ nftables: false, iptables: true });
  // The program is there, but the kernel has no nf_tables.
  expect(foundWith({ nft: 'cat >/dev/null; exit 1', iptables: fine })).toEqual({
    nftables: false,
    iptables: true,
  });
});

it('has the kernel judge without changing anything', () => {
  expect(findFirewalls().nftables).toBe(true);
  const tables = spawnSync('/usr/sbin/nft', ['list', 'tables'], { encoding: 'utf8' });
  expect(tables.stdout).not.toContain('rancher-check');
});
