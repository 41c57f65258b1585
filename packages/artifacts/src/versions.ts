import type { ArtifactRef } from '@rancher/domain';
import { DomainError, hostPrograms, programFile } from '@rancher/domain';

export type Arch = 'amd64' | 'arm64';

/** One official download: a program as it is, or an archive that holds several. Paths are relative to their origin. */
export interface Download {
  origin: OriginName;
  path: string;
  /** Path of the publisher's checksum file, which names the SHA-256 of this download. */
  checksumPath: string;
  /** File of the artifact → its path in the archive; absent where the download is the one file itself. */
  members?: Record<string, string>;
  /** The file that the download is, where it is no archive. */
  file?: string;
}

/** Where the projects publish their programs. */
export const officialOrigins = {
  kubernetes: 'https://dl.k8s.io',
  github: 'https://github.com',
} as const;
export type OriginName = keyof typeof officialOrigins;

export interface Recipe {
  /** File of the artifact → the Go package that it is built from. */
  packages: Record<string, string>;
  /** File of the artifact → the Go package whose tests it is, compiled and not run. */
  tests?: Record<string, string>;
  /** `-X` settings of the linker, besides `-s -w`. */
  define: Record<string, string>;
}

/** A pinned version: what it consists of, and every way to get it. */
export interface Release extends ArtifactRef {
  files: readonly string[];
  downloads(arch: Arch): Download[];
  recipe?: Recipe;
  /** Program of the host that can stand in where nothing can be fetched or built, such as the distribution's runc. */
  hostProgram?: string;
  /** File of the artifact that is the program itself, where it comes with its libraries and is started by a launcher. */
  bundled?: string;
  /** It comes with the server itself: one of our own programs, or the Node that runs them. */
  installed?: boolean;
  /** File of the recipe's folder that stands in, slower, where nothing can be fetched or built. */
  script?: string;
  /** Relative length of its build: the shorter ones are made first. */
  buildWeight: number;
}

/** The Go toolchain of the builds, as a Go module. `h1` is the hash that Go's checksum database publishes for it. */
export const goToolchain = {
  version: '1.26.8',
  h1: {
    amd64: 'h1:ZOmGe1OnfREDMIdb1Qi4G9JSuDPBLGExZMQ4nis1RXM=',
    arm64: 'h1:sYL/O6MqS68ML0kjsQ36WoYIpJqkw60TxizWUYUKQMc=',
  },
} as const;

const kubernetesFiles = [
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kubelet',
  'kube-proxy',
  'kubectl',
] as const;

function kubernetesVersion(version: string): Record<string, string> {
  const define: Record<string, string> = {};
  for (const pkg of ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version']) {
    define[`${pkg}.gitVersion`] = `v${version}`;
    define[`${pkg}.gitMajor`] = version.split('.')[0]!;
    define[`${pkg}.gitMinor`] = version.split('.')[1]!;
    define[`${pkg}.gitTreeState`] = 'archive';
  }
  return define;
}

function kubernetes(version: string): Release {
  return {
    name: 'kubernetes',
    version,
    files: kubernetesFiles,
    downloads: (arch) =>
      kubernetesFiles.map((file) => ({
        origin: 'kubernetes',
        path: `/v${version}/bin/linux/${arch}/${file}`,
        checksumPath: `/v${version}/bin/linux/${arch}/${file}.sha256`,
        file,
      })),
    recipe: {
      packages: Object.fromEntries(kubernetesFiles.map((f) => [f, `k8s.io/kubernetes/cmd/${f}`])),
      define: kubernetesVersion(version),
    },
    buildWeight: 100,
  };
}

/** Kubernetes' own end-to-end suite and the programs in its images, for `bench/conformance` alone: no host runs them. */
function kubernetesEndToEnd(version: string): Release {
  const images = 'k8s.io/kubernetes/test/images';
  const packages = {
    ginkgo: 'github.com/onsi/ginkgo/v2/ginkgo',
    agnhost: `${images}/agnhost`,
    nonewprivs: `${images}/nonewprivs`,
    'sample-apiserver': 'k8s.io/sample-apiserver',
  };
  const tests = { 'e2e.test': 'k8s.io/kubernetes/test/e2e' };
  return {
    name: 'kubernetes-e2e',
    version,
    files: [...Object.keys(packages), ...Object.keys(tests)],
    downloads: () => [],
    recipe: { packages, tests, define: kubernetesVersion(version) },
    buildWeight: 120,
  };
}

function etcd(version: string): Release {
  const files = ['etcd', 'etcdctl', 'etcdutl'] as const;
  return {
    name: 'etcd',
    version,
    files,
    downloads: (arch) => {
      const name = `etcd-v${version}-linux-${arch}`;
      const release = `/etcd-io/etcd/releases/download/v${version}`;
      return [
        {
          origin: 'github',
          path: `${release}/${name}.tar.gz`,
          checksumPath: `${release}/SHA256SUMS`,
          members: Object.fromEntries(files.map((f) => [f, `${name}/${f}`])),
        },
      ];
    },
    recipe: {
      packages: {
        etcd: 'go.etcd.io/etcd/server/v3',
        etcdctl: 'go.etcd.io/etcd/etcdctl/v3',
        etcdutl: 'go.etcd.io/etcd/etcdutl/v3',
      },
      define: {},
    },
    buildWeight: 10,
  };
}

function containerd(version: string): Release {
  const files = ['containerd', 'containerd-shim-runc-v2', 'ctr'] as const;
  const module = 'github.com/containerd/containerd/v2';
  return {
    name: 'containerd',
    version,
    files,
    downloads: (arch) => {
      const path = `/containerd/containerd/releases/download/v${version}/containerd-static-${version}-linux-${arch}.tar.gz`;
      const members = Object.fromEntries(files.map((f) => [f, `bin/${f}`]));
      return [{ origin: 'github', path, checksumPath: `${path}.sha256sum`, members }];
    },
    recipe: {
      packages: Object.fromEntries(files.map((f) => [f, `${module}/cmd/${f}`])),
      define: { [`${module}/version.Version`]: `v${version}` },
    },
    buildWeight: 12,
  };
}

function cniPlugins(version: string): Release {
  const module = 'github.com/containernetworking/plugins';
  const packages: Record<string, string> = {};
  for (const f of ['bridge', 'loopback', 'ptp']) packages[f] = `${module}/plugins/main/${f}`;
  packages['host-local'] = `${module}/plugins/ipam/host-local`;
  for (const f of ['portmap', 'bandwidth', 'firewall', 'tuning']) packages[f] = `${module}/plugins/meta/${f}`;
  const files = Object.keys(packages);
  return {
    name: 'cni-plugins',
    version,
    files,
    downloads: (arch) => {
      const path = `/containernetworking/plugins/releases/download/v${version}/cni-plugins-linux-${arch}-v${version}.tgz`;
      const members = Object.fromEntries(files.map((f) => [f, f]));
      return [{ origin: 'github', path, checksumPath: `${path}.sha256`, members }];
    },
    recipe: {
      packages,
      define: { [`${module}/pkg/utils/buildversion.BuildVersion`]: `v${version}` },
    },
    buildWeight: 2,
  };
}

function coredns(version: string): Release {
  return {
    name: 'coredns',
    version,
    files: ['coredns'],
    downloads: (arch) => {
      const path = `/coredns/coredns/releases/download/v${version}/coredns_${version}_linux_${arch}.tgz`;
      return [{ origin: 'github', path, checksumPath: `${path}.sha256`, members: { coredns: 'coredns' } }];
    },
    recipe: { packages: { coredns: 'github.com/coredns/coredns' }, define: {} },
    buildWeight: 30,
  };
}

/** Our own: what a container runtime starts for each pod, which asks the resident daemon (apps/cni). */
function cniFront(version: string): Release {
  return {
    name: 'cni-front',
    version,
    files: ['rancher'],
    downloads: () => [],
    recipe: { packages: { rancher: 'rancher.io/recipes/rancher' }, define: {} },
    script: 'rancher.cjs',
    buildWeight: 1,
  };
}

/** runc needs a C compiler and libseccomp to build, so the host's own stands in where it cannot be downloaded. */
function runc(version: string): Release {
  const release = `/opencontainers/runc/releases/download/v${version}`;
  return {
    name: 'runc',
    version,
    files: ['runc'],
    downloads: (arch) => [
      {
        origin: 'github',
        path: `${release}/runc.${arch}`,
        checksumPath: `${release}/runc.sha256sum`,
        file: 'runc',
      },
    ],
    hostProgram: 'runc',
    buildWeight: 1,
  };
}

/** It is C, and published as source alone: the distribution's own of this version or later, with what it is linked with. */
function haproxy(version: string): Release {
  return {
    name: 'haproxy',
    version,
    files: ['haproxy', 'haproxy.elf'],
    downloads: () => [],
    hostProgram: 'haproxy',
    bundled: 'haproxy.elf',
    buildWeight: 1,
  };
}

/** Every pinned version. A new one: docs/how-to-add-a-kubernetes-version.md. */
export const releases: readonly Release[] = [
  kubernetes('1.36.3'),
  kubernetes('1.37.2'),
  kubernetesEndToEnd('1.37.2'),
  etcd('3.7.3'),
  containerd('2.3.7'),
  cniPlugins('1.9.1'),
  cniFront('1.0.0'),
  coredns('1.15.0'),
  runc('1.5.2'),
  haproxy('2.6'),
];

/**
 * What the server itself is made of and hosts run too: our own programs, each one file whose version holds its hash, and
 * `node`. Any version has its place, as hosts may still run one of before an upgrade of the server.
 */
function installedRelease({ name, version }: ArtifactRef): Release | undefined {
  const program = hostPrograms.find((p) => name === `rancher-${p}`);
  const file = name === nodeArtifactName ? 'node' : program && programFile(program);
  if (file === undefined) return undefined;
  return { name, version, files: [file], downloads: () => [], installed: true, buildWeight: 0 };
}

const nodeArtifactName = 'node';

/** The Node that this process runs on, for hosts that have none. */
export function nodeArtifact(): ArtifactRef {
  return { name: nodeArtifactName, version: process.versions.node };
}

/** The pinned release that a reference names. Throws `unknown_version` for any other. */
export function releaseOf(ref: ArtifactRef): Release {
  const installed = installedRelease(ref);
  if (installed !== undefined) return installed;
  const found = releases.find((r) => r.name === ref.name && r.version === ref.version);
  if (found) return found;
  const known = releases.filter((r) => r.name === ref.name).map((r) => r.version);
  const hint =
    known.length > 0
      ? `known versions of ${ref.name}: ${known.join(', ')}`
      : `known artifacts: ${[...new Set(releases.map((r) => r.name))].join(', ')}`;
  throw new DomainError('unknown_version', `no pinned artifact ${ref.name} ${ref.version}; ${hint}`);
}

/** `<name>-<version>`, which names an artifact's folder, its recipe and its progress. */
export function artifactId(ref: ArtifactRef): string {
  return `${ref.name}-${ref.version}`;
}

/** The architecture of this machine in the words of Go and of the publishers. */
export function hostArch(): Arch {
  if (process.arch === 'x64') return 'amd64';
  if (process.arch === 'arm64') return 'arm64';
  throw new DomainError('artifact_unavailable', `no artifacts for the architecture ${process.arch}`);
}
