import { expect, it } from 'vitest';
import { createMetrics } from './metrics.ts';

it('gives the metrics of the process and those added, apart from those of another', async () => {
  const metrics = createMetrics('worker');
  const jobs = metrics.counter('rancher_jobs_total', 'Jobs that ran.', ['name']);
  jobs.inc({ name: 'sweep' });
  metrics.histogram('rancher_job_seconds', 'How long jobs took.').observe(0.2);
  const text = await metrics.registry.metrics();
  expect(text).toContain('rancher_jobs_total{name="sweep",process="worker"} 1');
  expect(text).toContain('process_resident_memory_bytes');
  expect(text).toContain('rancher_job_seconds_bucket{le="0.25",process="worker"} 1');
  createMetrics('other').counter('rancher_jobs_total', 'The same name in another registry.');
});
