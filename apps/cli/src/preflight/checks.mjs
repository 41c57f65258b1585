// Plain JavaScript without dependencies: the launcher runs it on whatever Node the machine has, before anything is
// installed. Pure: facts in, problems out. Types in checks.d.mts.

const minimumNodeMajor = 20;

export const programPackages = {
  ip: 'iproute2',
  nft: 'nftables',
  mount: 'mount',
  umount: 'mount',
  nsenter: 'util-linux',
  unshare: 'util-linux',
  setpriv: 'util-linux',
  tar: 'tar',
  gzip: 'gzip',
};

const featureMends = {
  namespaces:
    'the kernel or the container around it forbids new network, mount, UTS and IPC namespaces: run on a machine, or in a privileged container',
  overlayfs: 'load it (modprobe overlay), or use a kernel with CONFIG_OVERLAY_FS',
  nf_tables: 'load it (modprobe nf_tables), or use a kernel with CONFIG_NF_TABLES',
  bridge: 'load it (modprobe bridge), or use a kernel with CONFIG_BRIDGE',
  veth: 'load it (modprobe veth), or use a kernel with CONFIG_VETH',
};
const neededFeatures = ['namespaces', 'overlayfs', 'nf_tables', 'bridge', 'veth'];

function missingPrograms(facts) {
  return Object.keys(programPackages).filter((name) => facts.programs[name] === null);
}

export function packagesToInstall(facts) {
  return facts.aptGet ? [...new Set(missingPrograms(facts).map((name) => programPackages[name]))] : [];
}

function gib(bytes) {
  return `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
}

function ofThisSystem(facts) {
  const problems = [];
  if (facts.platform !== 'linux') {
    problems.push({
      what: `this system is ${facts.platform}`,
      mend: 'Rancher runs Kubernetes hosts on Linux: use a Linux machine or a virtual machine',
    });
  }
  if (facts.arch !== 'x64' && facts.arch !== 'arm64') {
    problems.push({ what: `this machine is ${facts.arch}`, mend: 'use an x86_64 or arm64 machine' });
  }
  if (Number.parseInt(facts.nodeVersion, 10) < minimumNodeMajor) {
    problems.push({
      what: `Node.js ${facts.nodeVersion} is too old`,
      mend: `install Node.js ${minimumNodeMajor} or later`,
    });
  }
  if (facts.uid !== 0) {
    problems.push({
      what: 'not root',
      mend: 'run it with sudo: hosts are made of namespaces, mounts and cgroups',
    });
  }
  return problems;
}

function ofTheKernel(facts) {
  const problems = neededFeatures
    .filter((name) => facts.features[name] === false)
    .map((name) => ({ what: `kernel feature ${name} is missing`, mend: featureMends[name] }));
  const { version, missing, writable } = facts.cgroups;
  if (version === null) {
    problems.push({
      what: 'cgroups are not mounted at /sys/fs/cgroup',
      mend: 'mount -t cgroup2 none /sys/fs/cgroup',
    });
  } else if (missing.length > 0) {
    problems.push({
      what: `cgroup v${version} controllers missing: ${missing.join(', ')}`,
      mend:
        version === 2
          ? 'enable them in the kernel, and in cgroup.subtree_control of the container around this, if there is one'
          : 'mount them below /sys/fs/cgroup, or remove cgroup_disable= from the kernel command line',
    });
  } else if (!writable) {
    problems.push({
      what: '/sys/fs/cgroup is read-only',
      mend: 'mount -o remount,rw /sys/fs/cgroup, or run in a privileged container',
    });
  }
  return problems;
}

function ofResources(facts) {
  const problems = facts.ports
    .filter(({ takenBy }) => takenBy !== null)
    .map(({ port, variable, takenBy }) => ({
      what: `port ${port} is taken by ${takenBy}`,
      mend: `stop that, or choose another port: ${variable}=${port + 1}`,
    }));
  for (const { path, freeBytes, neededBytes, variable } of facts.disk) {
    if (freeBytes < neededBytes) {
      problems.push({
        what: `${path} has ${gib(freeBytes)} free, ${gib(neededBytes)} is needed`,
        mend: `free some, or choose another place: ${variable}=<folder>`,
      });
    }
  }
  if (['overlay', 'overlayfs', 'nfs', 'nfs4', 'fuse', '9p'].includes(facts.homeFileSystem)) {
    problems.push({
      what: `${facts.home} is on ${facts.homeFileSystem}, which cannot carry the layers of containers`,
      mend: 'choose a folder on a local disk or a volume: RANCHER_HOME=<folder>',
    });
  }
  if (facts.homeStrangers.length > 0) {
    problems.push({
      what: `${facts.home} is in use already: ${facts.homeStrangers.slice(0, 3).join(', ')}`,
      mend: 'choose a folder of its own, which down --purge can delete: RANCHER_HOME=<folder>',
    });
  }
  return problems;
}

function ofPrograms(facts) {
  if (facts.aptGet) return [];
  return missingPrograms(facts).map((name) => ({
    what: `program ${name} is missing`,
    mend: `install the package ${programPackages[name]} (there is no apt-get here to do it for you)`,
  }));
}

export function findProblems(facts) {
  const system = ofThisSystem(facts);
  // Elsewhere than on Linux nothing below can be told.
  if (facts.platform !== 'linux') return system;
  return [...system, ...ofTheKernel(facts), ...ofResources(facts), ...ofPrograms(facts)];
}

export function formatProblems(problems) {
  const lines = problems.map(({ what, mend }) => `  ✗ ${what}\n    → ${mend}`);
  return `Rancher cannot start here yet. Nothing was changed.\n${lines.join('\n')}`;
}
