import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { readJson } from '../files.ts';

/** What they were before the first installation on this machine; the last one puts them back. A reboot forgets both. */
const formerFile = '/run/rancher-sysctls.json';

/**
 * Kernel settings of the whole machine that local hosts need, at least this high. Every kubelet and containerd holds some
 * inotify instances, and Linux allows a user 128: two or three clusters, the next kubelet then exits (a known issue of
 * kind too, "Pod errors due to too many open files").
 */
const wanted: Record<string, number> = {
  'net/ipv4/ip_forward': 1,
  'fs/inotify/max_user_instances': 8192,
  'fs/inotify/max_user_watches': 524_288,
};

const read = (name: string): number => Number(readFileSync(`/proc/sys/${name}`, 'utf8'));

/** Raises what is too low, remembering what it was. Needs root. */
export function raiseSysctls(): void {
  const low = Object.entries(wanted).filter(([name, least]) => read(name) < least);
  if (low.length === 0) return;
  const former = Object.fromEntries(low.map(([name]) => [name, read(name)]));
  writeFileSync(formerFile, JSON.stringify({ ...former, ...readJson<Record<string, number>>(formerFile) }));
  for (const [name, least] of low) writeFileSync(`/proc/sys/${name}`, String(least));
}

/** Whether all of them are as high as they must be. */
export function sysctlsRaised(): boolean {
  return Object.entries(wanted).every(([name, least]) => read(name) >= least);
}

/** Puts back what {@link raiseSysctls} changed. For the last installation on the machine. */
export function restoreSysctls(): void {
  if (!existsSync(formerFile)) return;
  const former = readJson<Record<string, number>>(formerFile) ?? {};
  for (const [name, value] of Object.entries(former)) writeFileSync(`/proc/sys/${name}`, String(value));
  rmSync(formerFile);
}
