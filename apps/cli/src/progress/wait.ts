import type { Operation } from '@rancher/api-client';
import type { Context } from '../context.ts';
import { waitForOperation } from '../operations.ts';
import { runSteps } from './steps.ts';

/** Waits for an operation with a line of progress. */
export async function wait(
  context: Context,
  title: string,
  operation: Operation,
  seconds: number,
): Promise<void> {
  const step = {
    title,
    run: async (report: (text: string) => void, signal: AbortSignal) => {
      await waitForOperation(context.client, operation.id, { withinMs: seconds * 1000, report, signal });
      return 'done';
    },
  };
  await runSteps([step], context.output, context.signal);
}
