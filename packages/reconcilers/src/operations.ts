import { type Condition, type EventInput, findCondition } from '@rancher/domain';
import { inWords } from '@rancher/planner';
import { recoveryEvents, recoveryStep } from './etcd-recovery-progress.ts';
import type { DrainDetails } from './host-actions/drain-options.ts';
import { actionStep, actionSteps, drainDeadlineMs, type Progress } from './host-actions/progress.ts';
import { isWiping } from './removal.ts';
import type { Status } from './status.ts';
import { ms, type OperationRow, type OperationStep, type World } from './world.ts';

export type OperationKind =
  | 'environment.create'
  | 'environment.activate'
  | 'environment.deactivate'
  | 'environment.remove'
  | 'environment.recoverEtcd'
  | 'host.create'
  | 'host.cordon'
  | 'host.uncordon'
  | 'host.drain'
  | 'host.evacuate'
  | 'host.powerOff'
  | 'host.powerOn'
  | 'host.remove';

interface Kind {
  steps: readonly string[];
  /**
   * How long it may take before it is called failed (ms), beside what it gives pods to leave. What it is about goes on
   * being worked at.
   */
  deadlineMs: number;
}

const minutes = 60_000;

const kinds: Record<OperationKind, Kind> = {
  'environment.create': {
    steps: ['hosts', 'system-stack', 'api-server', 'objects', 'nodes'],
    deadlineMs: 30 * minutes,
  },
  'environment.activate': { steps: ['system-stack', 'api-server', 'nodes'], deadlineMs: 10 * minutes },
  'environment.deactivate': { steps: ['deactivate'], deadlineMs: minutes },
  'environment.remove': { steps: ['stop-instances', 'wipe-hosts', 'remove'], deadlineMs: 10 * minutes },
  'environment.recoverEtcd': {
    steps: ['recover-etcd', 'control-plane', 'api-server'],
    deadlineMs: 10 * minutes,
  },
  'host.create': { steps: ['register', 'system-stack', 'node'], deadlineMs: 30 * minutes },
  'host.cordon': { steps: ['cordon'], deadlineMs: 10 * minutes },
  'host.uncordon': { steps: ['uncordon'], deadlineMs: 10 * minutes },
  'host.drain': { steps: ['cordon', 'evict-pods'], deadlineMs: minutes },
  'host.evacuate': {
    steps: ['cordon', 'evict-pods', 'move-instances', 'stop-instances', 'remove-node'],
    deadlineMs: 30 * minutes,
  },
  'host.powerOff': { steps: ['power-off'], deadlineMs: 2 * minutes },
  'host.powerOn': { steps: ['power-on', 'connect'], deadlineMs: 10 * minutes },
  'host.remove': {
    steps: ['cordon', 'evict-pods', 'leave-etcd', 'stop-instances', 'wipe-host', 'remove-node', 'remove'],
    deadlineMs: 30 * minutes,
  },
};

/** The steps of a new operation, none begun: what `Operation.steps` starts as. */
export function operationSteps(kind: OperationKind): OperationStep[] {
  return kinds[kind].steps.map((name) => ({
    name,
    state: 'pending',
    startedAt: null,
    finishedAt: null,
    message: null,
  }));
}

/** Operations under way, moved as far as the world has come. Only those that changed are given. */
export function advanceOperations(
  world: World,
  status: Status,
  now: Date,
): { changed: (OperationRow & { error: object | null })[]; events: EventInput[] } {
  const changed: (OperationRow & { error: object | null })[] = [];
  const events: EventInput[] = [];
  for (const operation of world.operations) {
    const next = advance(operation, world, status, now);
    if (next === null) continue;
    changed.push(next);
    events.push(...recoveryEvents(world, operation, next));
    if (next.state !== 'running') events.push(finished(world, next, now));
  }
  return { changed, events };
}

function advance(operation: OperationRow, world: World, status: Status, now: Date) {
  const kind = kinds[operation.kind as OperationKind];
  if (kind === undefined) return null;
  const at = now.toISOString();
  const deadlineMs = kind.deadlineMs + drainDeadlineMs(operation);
  const late = now.getTime() - Date.parse(operation.createdAt) > deadlineMs;
  const superseded = supersededBy(operation, world);
  const failure = (operation.details as DrainDetails).error;
  const given = late || superseded !== null || failure !== undefined;
  let open = true;
  const steps = operation.steps.map((step): OperationStep => {
    if (step.state === 'succeeded' || !open) return step;
    const progress = progressOf(operation, step.name, world, status);
    const startedAt = step.startedAt ?? at;
    if (progress === true) return { ...step, state: 'succeeded', startedAt, finishedAt: at, message: null };
    open = false;
    return {
      ...step,
      state: given ? 'failed' : 'running',
      startedAt,
      finishedAt: given ? at : null,
      message: failure?.message ?? progress,
    };
  });
  const state = open ? 'succeeded' : superseded !== null ? 'canceled' : given ? 'failed' : 'running';
  if (state === operation.state && JSON.stringify(steps) === JSON.stringify(operation.steps.map(ordered)))
    return null;
  const failed = steps.find((s) => s.state === 'failed');
  const error = failed === undefined ? null : (failure ?? errorOf(failed, superseded, deadlineMs));
  return { ...operation, state, steps, error } as const;
}

function errorOf(failed: OperationStep, superseded: string | null, deadlineMs: number) {
  if (superseded !== null) return { code: 'superseded', message: superseded };
  const message = `${failed.name} did not finish within ${inWords(deadlineMs)}: ${failed.message}`;
  return { code: 'deadline_exceeded', message };
}

/** In words what a user wanted since then that forbids the operation, or null. */
function supersededBy(operation: OperationRow, world: World): string | null {
  const { desiredState } = world.environment;
  const [about, verb] = operation.kind.split('.');
  if (verb !== 'remove' && desiredState === 'removed') return 'The environment is to be removed';
  if (about === 'environment') {
    if (verb === 'deactivate')
      return desiredState === 'active' ? 'The environment is to be active again' : null;
    return verb !== 'remove' && desiredState === 'inactive' ? 'The environment is to be inactive' : null;
  }
  const host = world.hosts.find((h) => h.id === operation.target.id);
  if (verb !== 'remove' && host?.desiredState === 'removed') return `${host.name} is to be removed`;
  const empties = verb === 'drain' || verb === 'evacuate';
  return empties && host?.unschedulable !== true ? `${host?.name} is to take pods again` : null;
}

/** Keys in our order: Postgres gives them in its own. */
function ordered({ name, state, startedAt, finishedAt, message }: OperationStep): OperationStep {
  return { name, state, startedAt, finishedAt, message };
}

function progressOf(operation: OperationRow, step: string, world: World, status: Status): Progress {
  switch (operation.kind as OperationKind) {
    case 'environment.create':
    case 'environment.activate':
      return environmentStep(step, status);
    case 'environment.recoverEtcd':
      return step === 'api-server' ? environmentStep(step, status) : recoveryStep(step, world, operation);
    case 'environment.deactivate':
      return status.state === 'inactive' ? true : 'The environment is being frozen';
    case 'environment.remove':
      return removalStep(
        step,
        world,
        world.hosts.map((h) => h.id),
        status,
      );
    case 'host.create':
      return hostStep(step, world, operation.target.id);
    case 'host.powerOff':
    case 'host.powerOn':
      return powerStep(step, world, operation);
    case 'host.cordon':
    case 'host.uncordon':
    case 'host.drain':
    case 'host.evacuate':
      return actionStep(step, world, operation);
    case 'host.remove':
      return actionSteps.has(step)
        ? actionStep(step, world, operation)
        : removalStep(step, world, [operation.target.id], status);
  }
}

const conditionOfStep = {
  hosts: 'HostsReady',
  'system-stack': 'SystemStackHealthy',
  'api-server': 'ApiServerReady',
  objects: 'ObjectsApplied',
  nodes: 'NodesReady',
} as const;

function environmentStep(step: string, status: Status): Progress {
  const condition = findCondition(status.conditions, conditionOfStep[step as keyof typeof conditionOfStep]);
  return condition?.status === 'True' ? true : (condition?.message ?? 'Not looked at yet');
}

function hostStep(step: string, world: World, hostId: string): Progress {
  const host = world.hosts.find((h) => h.id === hostId);
  if (host === undefined) return 'The host is not there any more';
  if (step === 'register')
    return host.facts !== null
      ? true
      : (localHostTrouble(host.conditions) ?? `${host.name} has not registered yet`);
  const planned = (world.plan?.instances ?? []).filter((i) => i.hostId === hostId);
  const healthy = new Set(world.instances.filter((i) => i.health === 'healthy').map((i) => i.id));
  const waiting = planned.filter((i) => !healthy.has(i.id)).map((i) => i.service);
  if (step === 'system-stack')
    return planned.length > 0 && waiting.length === 0 ? true : `Not healthy: ${waiting.join(', ')}`;
  const node = findCondition(host.conditions, 'Ready');
  const simulated = host.labels['io.rancher.host.runtime'] === 'simulated';
  return simulated || node?.status === 'True' ? true : (node?.message ?? 'Its Node is not Ready yet');
}

/** Whether it is on is what its machine says; that it runs again is said by its own agent. */
function powerStep(step: string, world: World, operation: OperationRow): Progress {
  const host = world.hosts.find((h) => h.id === operation.target.id);
  if (host === undefined) return 'The host is not there any more';
  const powered = findCondition(host.conditions, 'Powered');
  if (step === 'power-off')
    return powered?.status === 'False' ? true : `Its machine has not said yet that ${host.name} is off`;
  if (step === 'power-on')
    return powered?.status !== 'False' ? true : `Its machine has not said yet that ${host.name} is on`;
  const asked = Date.parse(operation.createdAt);
  // What was on when it was asked for has no new connection to make.
  const wasOn = powered === undefined || Date.parse(powered.lastTransitionTime) < asked;
  const connected = host.connectedTo !== null && (wasOn || (ms(host.connectedAt) ?? 0) >= asked);
  return connected && host.state === 'active' ? true : `The agent of ${host.name} has not connected yet`;
}

function localHostTrouble(conditions: readonly Condition[]): string | undefined {
  const ready = findCondition(conditions, 'Ready');
  return ready?.status === 'False' ? ready.message : undefined;
}

/** The steps of a removal, seen from what is still there: the rows of hosts that are wiped are not read any more. */
function removalStep(step: string, world: World, hostIds: readonly string[], status: Status): Progress {
  const hosts = world.hosts.filter((h) => hostIds.includes(h.id));
  const names = (of: readonly { name: string }[]) => of.map((h) => h.name).join(', ');
  if (step === 'stop-instances') {
    const running = hosts.filter((h) => !isWiping(h) && world.instances.some((i) => i.hostId === h.id));
    return running.length === 0 ? true : `Instances are being stopped on ${names(running)}`;
  }
  if (hosts.length > 0) return `${names(hosts)} is being wiped`;
  return step !== 'remove' || status.state !== 'removing' ? true : 'The rest is being removed';
}

function finished(world: World, operation: OperationRow & { error: object | null }, now: Date): EventInput {
  const ok = operation.state === 'succeeded';
  const canceled = operation.state === 'canceled';
  const durationMs = now.getTime() - Date.parse(operation.createdAt);
  const error = operation.error as { message: string } | null;
  const target = `${operation.target.kind.toLowerCase()} ${operation.target.name}`;
  return {
    environmentId: world.environment.id,
    regarding: { kind: 'Operation', id: operation.id, name: operation.kind },
    type: ok || canceled ? 'Normal' : 'Warning',
    reason: 'OperationFinished',
    message: ok
      ? `${operation.kind} of ${target} took ${inWords(durationMs)}`
      : `${operation.kind} of ${target} ${canceled ? 'was canceled' : 'failed'}: ${error?.message}`,
    data: { durationMs, state: operation.state },
  };
}
