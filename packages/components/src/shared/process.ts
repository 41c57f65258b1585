import { type ArtifactRef, type ArtifactUse, artifactPath } from '@rancher/domain';
import type { ComponentContext } from '../component.ts';

/** The system folders of every distribution: where mount, nft, iptables and conntrack are found. */
const systemPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Environment of a process that calls programs of the host, `folders` first. */
export function pathEnv(...folders: string[]): Record<string, string> {
  return { PATH: [...folders, systemPath].join(':') };
}

export function kubernetesArtifact(kubernetesVersion: string): ArtifactRef {
  return { name: 'kubernetes', version: kubernetesVersion };
}

/** One program of Kubernetes in the context's version: a host fetches no more than it runs. */
export function onlyKubernetes({ environment }: ComponentContext, program: string): ArtifactUse {
  return { ...kubernetesArtifact(environment.kubernetesVersion), files: [program] };
}

/** Path of a program of Kubernetes in the context's version. */
export function kubernetesProgram(ctx: ComponentContext, program: string): string {
  return artifactPath(kubernetesArtifact(ctx.environment.kubernetesVersion), program);
}

/** How much the kernel spares the process when memory runs out; only CAP_SYS_RESOURCE may lower it below zero. */
export function oomScore(ctx: ComponentContext, wanted: number): number {
  return ctx.host.facts.sysResource ? wanted : Math.max(0, wanted);
}

/** Arguments from an object, in its order: `{a: 1}` → `--a=1`. What is undefined is left out. */
export function flags(values: Record<string, string | number | boolean | undefined>): string[] {
  return Object.entries(values)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `--${name}=${value}`);
}

/** What a process learnt of etcd before a recovery must not outlive it: another recovery is another spec. */
export function recoveryEnv({ environment }: ComponentContext): Record<string, string> {
  return environment.etcdRecovery === null ? {} : { RANCHER_ETCD_RECOVERY: environment.etcdRecovery };
}

/** Several control planes elect a leader; a single one must not wait for the lease of its predecessor. */
export function electsLeader(ctx: ComponentContext): boolean {
  return ctx.environment.controlPlaneReplicas > 1;
}
