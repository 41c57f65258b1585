/** What a machine is and has, as far as a host of an environment needs it. */
export interface MachineFacts {
  /** Programs that were looked for, and whether they are there. */
  programs: Record<string, boolean>;
  /** Kernel features that were tried. */
  kernel: Record<KernelFeature, boolean>;
  /** What kube-proxy and the network policies can work with. */
  firewalls: { nftables: boolean; iptables: boolean };
  cgroups: { missing: string[]; writable: boolean } | { error: string };
  /** Type of the file system that holds the images and the pods' layers, where that cannot hold them. */
  unfitFileSystem: string | null;
  diskFreeBytes: number;
  folder: string;
  /** Folders that only a host fills, and that something is in. */
  takenFolders: string[];
  memoryBytes: number;
  kmsg: boolean;
  /** The address that other hosts are to reach this one at, and whether this machine has it. */
  address: { value: string; own: boolean };
  /** Ports that are needed, and that somebody listens on. */
  takenPorts: number[];
}

export type KernelFeature = 'namespaces' | 'overlay' | 'bridge' | 'vxlan';

/** What a machine lacks, and what would mend it. */
export interface Problem {
  what: string;
  mend: string;
}

/** Debian's package of each program, which other distributions name alike. */
export const neededPrograms = { ip: 'iproute2', mount: 'mount', umount: 'mount' } as const;

/** Images of the system, the programs of a node and some room to work: less makes kubelet evict at once. */
const minDiskBytes = 2 * 1024 ** 3;
/** Containerd, kubelet, kube-proxy and ours take about 300 MB. */
const minMemoryBytes = 512 * 1024 ** 2;

const kernelOptions: Record<KernelFeature, [what: string, mend: string]> = {
  namespaces: [
    'network and mount namespaces cannot be made',
    'run it on a machine, or in a container that is privileged',
  ],
  overlay: ['the kernel has no overlay file system', 'modprobe overlay'],
  bridge: ['a bridge or a veth pair cannot be made', 'modprobe -a bridge veth'],
  vxlan: ['the kernel has no VXLAN, which pods of hosts in other subnets are reached by', 'modprobe vxlan'],
};

/** Everything at once that keeps a machine from being a host; empty when nothing does. Pure. */
export function findProblems(facts: MachineFacts): Problem[] {
  const { programs, kernel, firewalls, address } = facts;
  const problems: Problem[] = [];
  const unless = (fine: boolean, what: string, mend: string) => {
    if (!fine) problems.push({ what, mend });
  };
  for (const [program, there] of Object.entries(programs)) {
    const name = neededPrograms[program as keyof typeof neededPrograms];
    unless(there, `the program ${program} is missing`, `install the package ${name}`);
  }
  for (const feature of Object.keys(kernel) as KernelFeature[])
    unless(kernel[feature], ...kernelOptions[feature]);
  unless(
    firewalls.nftables || firewalls.iptables,
    'neither nftables nor iptables works here, and Services need one of them',
    'install the package nftables; with a kernel before 5.13 iptables',
  );
  problems.push(...problemsOfCgroups(facts.cgroups));
  unless(facts.kmsg, 'there is no /dev/kmsg, which kubelet reads', 'give the container the device /dev/kmsg');
  unless(
    facts.unfitFileSystem === null,
    `${facts.folder} is on ${facts.unfitFileSystem}, which cannot hold the layers of containers`,
    'choose a folder on ext4 or xfs with --folder',
  );
  unless(
    facts.diskFreeBytes >= minDiskBytes,
    `${facts.folder} has ${gib(facts.diskFreeBytes)} GiB free, and ${gib(minDiskBytes)} GiB is needed`,
    'free some, or choose a folder on another disk with --folder',
  );
  unless(
    facts.memoryBytes >= minMemoryBytes,
    `this machine has ${gib(facts.memoryBytes)} GiB of memory, and ${gib(minMemoryBytes)} GiB is needed`,
    'give it more',
  );
  unless(
    address.own,
    `${address.value} is no address of this machine that others can reach`,
    'name one with --address (ip -brief address shows them)',
  );
  const folders = facts.takenFolders.map((folder) => ({
    what: `there is something in ${folder}, which a host fills and at its end removes`,
    mend: 'give up what is there (kubeadm reset, k3s-uninstall.sh, …), or move it away',
  }));
  const ports = facts.takenPorts.map((port) => ({
    what: `port ${port} is taken`,
    mend: `end what listens there, such as another Kubernetes (ss -ltnp 'sport = :${port}')`,
  }));
  return [...problems, ...folders, ...ports];
}

function problemsOfCgroups(cgroups: MachineFacts['cgroups']): Problem[] {
  if ('error' in cgroups)
    return [{ what: `cgroups: ${cgroups.error}`, mend: 'mount -t cgroup2 cgroup2 /sys/fs/cgroup' }];
  const problems: Problem[] = [];
  if (cgroups.missing.length > 0) {
    const names = cgroups.missing.join(', ');
    const mend = 'start the kernel without cgroup_disable=, and with cgroup_enable=memory on a Raspberry Pi';
    problems.push({ what: `the kernel has no cgroup controller ${names}`, mend });
  }
  if (!cgroups.writable)
    problems.push({
      what: 'no cgroup can be made',
      mend: 'mount /sys/fs/cgroup writable (a container: privileged, with a cgroup namespace)',
    });
  return problems;
}

/** For whoever ran the command: each problem with what would mend it. */
export function inWords(problems: readonly Problem[]): string {
  const count = problems.length === 1 ? 'One thing is' : `${problems.length} things are`;
  const lines = problems.map(({ what, mend }) => `  ✗ ${what}\n    → ${mend}`);
  return `${count} in the way of this machine being a host. Nothing was changed.\n${lines.join('\n')}`;
}

function gib(bytes: number): string {
  return (bytes / 1024 ** 3).toFixed(1);
}
