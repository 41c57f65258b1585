import type { Context } from '../../context.ts';
import { Refusal } from '../../errors.ts';
import { findProblems, formatProblems } from '../../preflight/checks.mjs';
import { gatherFacts } from '../../preflight/facts.mjs';
import { processState } from '../../processes/kept.ts';
import { serverProcessNames } from '../../processes/server.ts';

/**
 * Looks at the machine before anything is changed.
 * @throws Failure with every problem at once, each with what would mend it
 */
export function preflight({ settings }: Context): void {
  const { config, paths } = settings;
  const ours = serverProcessNames.map((name) => processState(paths, name).pid).filter((pid) => pid !== null);
  const ports = [{ port: config.port, variable: 'RANCHER_PORT' }];
  const problems = findProblems(gatherFacts({ home: paths.home, cache: config.cache, ports, ours }));
  if (problems.length > 0) throw new Refusal(formatProblems(problems));
}
