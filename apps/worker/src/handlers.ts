import type { Handlers, WorkersOptions } from '@rancher/queue';
import {
  advanceHostOperation,
  askPeers,
  type Context,
  changeEtcdMembers,
  checkEnvironment,
  prune,
  reconcileEnvironment,
  sweep,
} from '@rancher/reconcilers';
import type { Metrics } from '@rancher/telemetry';
import type { ApiWatch } from './watch-api.ts';

/** What the worker does for each job of the catalogue: calls its reconciler, and counts. */
export function createHandlers(
  context: Context,
  api: ApiWatch,
  metrics: Metrics,
): { handlers: Handlers; onFinished: NonNullable<WorkersOptions['onFinished']> } {
  const took = metrics.histogram('rancher_job_seconds', 'How long jobs ran', ['job']);
  const waited = metrics.histogram('rancher_job_wait_seconds', 'How long jobs waited for a worker', ['job']);
  const failures = metrics.counter('rancher_job_failures_total', 'Jobs that ended with an error', ['job']);
  return {
    handlers: {
      'reconcile-environment': ({ environmentId }) => reconcileEnvironment(context, environmentId),
      'check-environment': ({ environmentId }, signal) => checkEnvironment(context, environmentId, signal),
      'advance-host-operation': ({ operationId }, signal) =>
        advanceHostOperation(context, operationId, signal),
      'change-etcd-members': ({ environmentId }, signal) => changeEtcdMembers(context, environmentId, signal),
      'ask-peers': ({ environmentId }) => askPeers(context, environmentId),
      sweep: async () => sweep(context, await api.hearsSince()),
      prune: () => prune(context.prisma),
    },
    onFinished({ name: job, waitedMs, tookMs, failed }) {
      took.observe({ job }, tookMs / 1000);
      waited.observe({ job }, waitedMs / 1000);
      if (failed) failures.inc({ job });
    },
  };
}
