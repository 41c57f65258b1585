/**
 * Creation: from `POST /v1/environments` until the environment is `active` (every component healthy, API server ready,
 * Node Ready, the system stack's objects applied), against the same programs started by hand until `/readyz` answers
 * and the Node is Ready. Interleaved, one of each a run; nothing else runs on either side.
 */
import { until } from '../../test/e2e/support/installation.ts';
import { floorCreate } from '../floor-runner.ts';
import { withInstallation } from '../installation.ts';
import { type BenchmarkReport, report } from '../report.ts';

export const runs = 5;

export async function run(count: number): Promise<BenchmarkReport[]> {
  const samples = {
    activeMs: [] as number[],
    floorNodeReadyMs: [] as number[],
    floorReadyzMs: [] as number[],
  };
  await withInstallation('create', async (rancher) => {
    const remove = async (name: string) => {
      await rancher.must(['environment', 'delete', name, '--wait']);
    };
    await remove('default');
    for (let i = 0; i < count; i++) {
      const name = `bench-${i}`;
      const started = performance.now();
      const { body } = await rancher.api('POST', '/v1/environments', { name, spec: { hosts: { local: 1 } } });
      await until(
        `${name} is active`,
        async () =>
          (await rancher.api('GET', `/v1/environments/${body.target.id}`)).body.status.state === 'active',
        120_000,
        20,
      );
      samples.activeMs.push(performance.now() - started);
      await remove(name);
      const floor = await floorCreate();
      samples.floorNodeReadyMs.push(Math.max(floor.nodeReadyMs, floor.readyzMs));
      samples.floorReadyzMs.push(floor.readyzMs);
    }
  });
  return [
    report({
      benchmark: 'create: POST → active, against hand-started programs → Node Ready',
      aim: 'at most 1.25 of the floor, binaries cached',
      samples,
      ratio: { ours: 'activeMs', against: 'floorNodeReadyMs' },
    }),
  ];
}
