import type { HostFacts } from './inventory.ts';

/** Labels below this are found by the server itself; nobody else sets them. */
export const foundLabelPrefix = 'io.rancher.host.';

/** What a host's own facts say of it as labels, by the names of Rancher 1.6 where it had one; undefined = no such label. */
function foundLabels(facts: HostFacts): Record<string, string | undefined> {
  return {
    os: 'linux',
    arch: facts.arch,
    linux_kernel_version: kernelVersion(facts.kernel),
    cgroup_version: String(facts.cgroupVersion),
    kvm: facts.kvm === true ? 'true' : undefined,
    ...(facts.runtime === undefined ? {} : { runtime: facts.runtime }),
  };
}

/** The labels that a host has: those that its users gave it, and those that were found. */
export function withFoundLabels(
  labels: Readonly<Record<string, string>>,
  facts: HostFacts,
): Record<string, string> {
  const all = { ...labels };
  for (const [name, value] of Object.entries(foundLabels(facts))) {
    if (value === undefined) delete all[foundLabelPrefix + name];
    else all[foundLabelPrefix + name] = value;
  }
  return all;
}

/** Major and minor version, as Rancher 1.6 had it: `6.18` of `6.18.5-cloud-amd64`. */
function kernelVersion(release: string): string {
  return /^\d+\.\d+/.exec(release)?.[0] ?? 'unknown';
}
