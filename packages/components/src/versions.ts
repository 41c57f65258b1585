import { DomainError } from '@rancher/domain';

/** What goes with one version of Kubernetes; each is a pinned artifact. */
interface Companions {
  etcd: string;
  containerd: string;
  runc: string;
  haproxy: string;
  cniPlugins: string;
  cniFront: string;
}

const today: Companions = {
  etcd: '3.7.3',
  containerd: '2.3.7',
  runc: '1.5.2',
  haproxy: '2.6',
  cniPlugins: '1.9.1',
  cniFront: '1.0.0',
};

const companions: Record<string, Companions> = {
  '1.37.2': today,
  '1.36.3': today,
};

/** Versions of Kubernetes that an environment may have, newest first. */
export const supportedVersions: { version: string; default?: boolean }[] = [
  { version: '1.37.2', default: true },
  { version: '1.36.3' },
];

/** @throws DomainError `unknown_version` for a version of Kubernetes that is not supported. */
export function companionsOf(kubernetesVersion: string): Companions {
  const found = companions[kubernetesVersion];
  if (found === undefined) {
    const known = supportedVersions.map((v) => v.version).join(', ');
    throw new DomainError(
      'unknown_version',
      `Kubernetes ${kubernetesVersion} is not supported; ${known} are`,
      {
        pointer: '/spec/kubernetesVersion',
      },
    );
  }
  return found;
}
