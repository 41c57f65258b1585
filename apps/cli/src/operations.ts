import { setTimeout as sleep } from 'node:timers/promises';
import { type Condition, getEnvironment, getOperation, type Operation } from '@rancher/api-client';
import type { Client } from './client.ts';
import { Failure, Interrupted } from './errors.ts';
import type { Report } from './progress/step.ts';

/** Between two looks (ms): a cluster is made in seconds, and a look costs under a millisecond. */
const lookEveryMs = 150;

export interface WaitOptions {
  withinMs: number;
  report: Report;
  signal: AbortSignal;
}

/** What an environment waits for, in its own words. Of these conditions, True is the bad news. */
export function waitingFor(conditions: Condition[]): string {
  const held = conditions.find(
    (c) => (c.type === 'Brake' || c.type === 'PlanBlocked') && c.status === 'True',
  );
  const ready = conditions.find((c) => c.type === 'Ready');
  return held?.message ?? ready?.message ?? 'being planned';
}

/**
 * Waits until an operation has ended, reporting what is waited for.
 * @throws Failure with the operation's own error, or saying what was still waited for; Interrupted on `signal`
 */
export async function waitForOperation(client: Client, id: string, options: WaitOptions): Promise<Operation> {
  const deadline = performance.now() + options.withinMs;
  let waiting = '';
  for (;;) {
    const operation = await client.call(getOperation({ client: client.api, path: { id } }));
    const { state, error } = operation.status;
    if (state === 'succeeded') return operation;
    if (state === 'failed' || state === 'canceled') {
      throw new Failure(String(error?.detail ?? error?.message ?? `operation ${id} ${state}`));
    }
    waiting = await describeWait(client, operation);
    options.report(waiting);
    if (options.signal.aborted) throw new Interrupted('interrupted; the work goes on in the server');
    if (performance.now() > deadline) {
      throw new Failure(
        `waited ${options.withinMs / 1000} s; still waiting: ${waiting} (operation ${id} goes on)`,
      );
    }
    await sleep(lookEveryMs);
  }
}

async function describeWait(client: Client, operation: Operation): Promise<string> {
  const step = operation.status.steps.find((s) => s.state === 'running' || s.state === 'pending');
  // Of a host, the operation itself knows best what it waits for.
  if (operation.environmentId === null || (operation.target.kind === 'Host' && step?.message != null))
    return step?.message ?? step?.name ?? operation.status.state;
  try {
    const environment = await client.call(
      getEnvironment({ client: client.api, path: { id: operation.environmentId } }),
    );
    return waitingFor(environment.status.conditions);
  } catch {
    // It is being removed, and the last look was the last.
    return step?.message ?? step?.name ?? operation.status.state;
  }
}
