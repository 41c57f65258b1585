import { Listr } from 'listr2';
import { describe, failureOf, runUntilInterrupted, type Step } from './step.ts';

/** {@link runSteps} on a terminal. A module of its own, since drawing costs the start of every other command. */
export async function drawSteps(steps: Step[], signal: AbortSignal): Promise<void> {
  const tasks = steps.map((step) => ({
    title: step.title,
    task: async (_: unknown, task: { title: string; output: string }) => {
      const begun = performance.now();
      try {
        const outcome = await runUntilInterrupted(
          step,
          (text) => {
            task.output = text;
          },
          signal,
        );
        task.title = describe(step.title, outcome, begun);
      } catch (error) {
        throw failureOf(step, error, signal);
      }
    },
  }));
  await new Listr(tasks, {
    concurrent: false,
    exitOnError: true,
    // Ctrl-C is the command's to handle.
    registerSignalListeners: false,
    rendererOptions: { collapseErrors: false, showErrorMessage: false },
  }).run();
}
