import { type ArtifactRef, artifactPath, hostPaths, type InstanceSpec, probeDefaults } from '@rancher/domain';
import { cniFrontArtifact } from '../cni/index.ts';
import type { Component, ComponentContext } from '../component.ts';
import { serviceDirectories } from '../shared/certificates.ts';
import { oomScore, pathEnv } from '../shared/process.ts';
import { companionsOf } from '../versions.ts';
import { configurationFile } from './configuration.ts';
import { pauseImageFile, startCommand } from './start.ts';

const name = 'containerd';

export const containerd: Component = {
  name,
  placement: 'all',
  after: [],
  ports: [],
  version: (kubernetesVersion) => companionsOf(kubernetesVersion).containerd,
  artifacts: (kubernetesVersion) => Object.values(artifactsOf(kubernetesVersion)),
  spec,
};

function artifactsOf(kubernetesVersion: string): Record<'containerd' | 'runc' | 'cniFront', ArtifactRef> {
  const versions = companionsOf(kubernetesVersion);
  return {
    containerd: { name, version: versions.containerd },
    runc: { name: 'runc', version: versions.runc },
    cniFront: cniFrontArtifact(kubernetesVersion),
  };
}

function spec(ctx: ComponentContext): InstanceSpec {
  const artifacts = artifactsOf(ctx.environment.kubernetesVersion);
  const { facts } = ctx.host;
  const programs = artifactPath(artifacts.containerd, '').slice(0, -1);
  const configuration = configurationFile({
    runc: artifactPath(artifacts.runc, 'runc'),
    cniFront: artifactPath(artifacts.cniFront, '').slice(0, -1),
    systemdCgroup: facts.cgroupDriver === 'systemd',
    restrictOomScoreAdj: !facts.sysResource,
  });
  const image = pauseImageFile(facts.arch);
  return {
    component: name,
    version: artifacts.containerd.version,
    artifacts: Object.values(artifacts),
    command: startCommand({
      containerd: `${programs}/containerd`,
      ctr: `${programs}/ctr`,
      configuration: configuration.path,
      image: image.path,
    }),
    // It looks the shim up by name; plugins and shims call iptables, nft and mount.
    env: pathEnv(programs),
    directories: [
      ...serviceDirectories(name),
      { path: hostPaths.containerd, mode: 0o711 },
      { path: hostPaths.containerdState, mode: 0o711 },
      { path: hostPaths.cniConf, mode: 0o755 },
    ],
    files: [configuration, image],
    secrets: [],
    certificates: [],
    addresses: [],
    probe: { grpc: { socketPath: hostPaths.containerdSocket }, ...probeDefaults },
    stop: { signal: 'SIGTERM', graceMs: 5000 },
    oomScoreAdj: oomScore(ctx, -999),
    cgroups: [],
  };
}
