import type { EnvironmentOptions } from '@rancher/components';
import type { Queryable } from '@rancher/db';
import {
  DomainError,
  type EnvironmentDesiredState,
  type EtcdMemberStep,
  type HostFacts,
  type PlanAction,
  type PlanWait,
} from '@rancher/domain';
import { plan } from './environment.ts';
import { SpecCache } from './specs.ts';
import { type HostRow, loadWorld, type World } from './world.ts';

export interface PreviewChange {
  addHosts?: { id: string; name: string; labels: Record<string, string> }[];
  removeHostId?: string;
  desiredState?: EnvironmentDesiredState;
  options?: object;
  controlPlaneReplicas?: number;
  kubernetesVersion?: string;
  /** A service by its id, with the labels that it would have. */
  service?: { id: string; labels: Record<string, string> };
}

/**
 * The plan that a change would lead to, as far as one step: nothing is written. Added hosts count as there, with the
 * facts of a host that is.
 * @throws DomainError `not_found`
 */
export async function previewPlan(
  db: Queryable,
  environmentId: string,
  change: PreviewChange,
): Promise<{ actions: PlanAction[]; memberSteps: EtcdMemberStep[]; waits: PlanWait[] }> {
  const world = await loadWorld(db, environmentId);
  if (world === null) throw new DomainError('not_found', `There is no environment ${environmentId}.`);
  const { planned } = plan(new SpecCache(), changed(world, change), Date.now());
  const { memberSteps, waits } = planned;
  return { actions: planned.plan?.actions ?? [], memberSteps, waits };
}

function changed(world: World, change: PreviewChange): World {
  const now = new Date().toISOString();
  const facts = world.hosts.find((h) => h.facts !== null)?.facts ?? anyFacts;
  const added = (change.addHosts ?? []).map(
    (h): HostRow => ({
      ...h,
      kind: 'local',
      machineId: null,
      joinedLabels: null,
      desiredState: 'active',
      power: 'on',
      unschedulable: null,
      evacuated: false,
      state: 'active',
      conditions: [],
      facts: { ...facts, hostname: h.name },
      address: facts.address,
      connectedTo: null,
      connectedAt: null,
      lastSeenAt: now,
      appliedGeneration: 0,
      createdAt: now,
      updatedAt: now,
    }),
  );
  const kept = world.hosts.map((h) =>
    h.id === change.removeHostId ? ({ ...h, desiredState: 'removed' } as const) : h,
  );
  const environment = {
    ...world.environment,
    desiredState: change.desiredState ?? world.environment.desiredState,
    options: (change.options as EnvironmentOptions | undefined) ?? world.environment.options,
    controlPlaneReplicas: change.controlPlaneReplicas ?? world.environment.controlPlaneReplicas,
    kubernetesVersion: change.kubernetesVersion ?? world.environment.kubernetesVersion,
  };
  const services = world.services.map((s) => ({
    ...s,
    scale: s.scale === null ? null : environment.controlPlaneReplicas,
    ...(s.id === change.service?.id ? { labels: change.service.labels } : {}),
  }));
  return { ...world, environment, services, hosts: [...kept, ...added] };
}

/** Stand in for a host that is not there: the preview shows what would run, not how. */
const anyFacts: HostFacts = {
  agentVersion: '',
  agentPid: 0,
  hostname: '',
  address: '192.0.2.1',
  os: '',
  arch: 'amd64',
  kernel: '',
  cores: 1,
  memoryBytes: 0,
  diskBytes: 0,
  diskFreeBytes: 0,
  cgroupVersion: 2,
  cgroupDriver: 'cgroupfs',
  cgroupRoot: '',
  nftables: true,
  iptables: false,
  sysResource: true,
  localHosts: false,
};
