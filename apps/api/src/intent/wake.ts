import { channels } from '@rancher/contracts';
import { notify } from '@rancher/db';
import type { Context } from '../context.ts';

/**
 * "Look now", after the intent is committed. It may fail: the worker's sweep finds what is due, so the caller's work is
 * done all the same.
 */
export async function wake(
  { prisma, queue, logger }: Pick<Context, 'prisma' | 'queue' | 'logger'>,
  environmentId: string,
  machineIds: readonly string[] = [],
  /** The cluster too, as what changed is to be seen there. */
  options: { cluster?: boolean } = {},
): Promise<void> {
  const results = await Promise.allSettled([
    queue.enqueue('reconcile-environment', { environmentId }),
    ...(options.cluster === true ? [queue.enqueue('check-environment', { environmentId })] : []),
    ...machineIds.map((id) => notify(prisma, channels.machine, id)),
  ]);
  for (const result of results) {
    if (result.status === 'rejected')
      logger.warn({ err: result.reason, environmentId }, 'wake-up lost; the sweep will find it');
  }
}
