/**
 * Recreation: from `kill -9` of a component until its next instance is healthy, against the bare start of the same
 * program in a running cluster; and, for a frozen one (SIGSTOP), until the next is healthy.
 */
import type { Instance } from '@rancher/api-client';
import { type Installation, type InstanceRow, until } from '../../test/e2e/support/installation.ts';
import { floorHeal } from '../floor-runner.ts';
import { withInstallation } from '../installation.ts';
import { type BenchmarkReport, report } from '../report.ts';

export const runs = 3;

async function list(rancher: Installation, environmentId: string): Promise<Instance[]> {
  return (await rancher.api('GET', `/v1/environments/${environmentId}/instances`)).body.items as Instance[];
}

type Signal = 'SIGKILL' | 'SIGSTOP';

interface Healing {
  startedMs: number;
  healthyMs: number;
}

/** Milliseconds from the signal until the next process was started, and until it was healthy, by the host's own clock. */
async function healing(
  rancher: Installation,
  environmentId: string,
  old: InstanceRow,
  signal: Signal,
): Promise<Healing> {
  const struck = Date.now();
  process.kill(old.pid!, signal);
  const next = await until(
    `${old.component} is back`,
    async () =>
      (await list(rancher, environmentId)).find(
        (i) => i.service === old.component && i.id !== old.id && i.status.health === 'healthy',
      ),
    120_000,
    20,
  );
  return {
    startedMs: Date.parse(next.status.startedAt ?? '') - struck,
    healthyMs: Date.parse(next.status.healthyAt ?? '') - struck,
  };
}

async function settled(rancher: Installation, environmentId: string): Promise<void> {
  await until('all instances are healthy', async () =>
    (await list(rancher, environmentId)).every((i) => i.status.health === 'healthy'),
  );
}

export async function run(count: number): Promise<BenchmarkReport[]> {
  const floor = await floorHeal(count);
  const killed: Record<string, Healing[]> = {};
  const frozen: Record<string, Healing[]> = {};
  const strike = async (signal: Signal, into: Record<string, Healing[]>) => {
    // A second failure within five minutes is held back by the backoff, so each signal has an installation of its own.
    await withInstallation('heal', async (rancher) => {
      const environment = (await rancher.api('GET', '/v1/environments?name=default')).body.items[0]
        .id as string;
      for (const component of Object.keys(floor.samples)) {
        await settled(rancher, environment);
        const old = (await rancher.instances()).find((r) => r.component === component);
        if (old === undefined) throw new Error(`no instance of ${component}`);
        into[component] = [...(into[component] ?? []), await healing(rancher, environment, old, signal)];
      }
    });
  };
  for (let i = 0; i < count; i++) {
    await strike('SIGKILL', killed);
    await strike('SIGSTOP', frozen);
  }
  return Object.keys(floor.samples).map((component) =>
    report({
      benchmark: `heal ${component}: kill -9 → healthy, against its bare start`,
      aim: 'floor + 150 ms; exit → new start under 150 ms; frozen: at most 4 s more than the floor',
      samples: {
        killedMs: (killed[component] ?? []).map((h) => h.healthyMs),
        killedToStartMs: (killed[component] ?? []).map((h) => h.startedMs),
        frozenMs: (frozen[component] ?? []).map((h) => h.healthyMs),
        floorMs: floor.samples[component] ?? [],
      },
      ratio: { ours: 'killedMs', against: 'floorMs' },
    }),
  );
}
