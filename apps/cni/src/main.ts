/** `cni.mjs --config FILE`: the host's network daemon, in the foreground until SIGTERM. */
import { parseArgs } from 'node:util';
import { readConfig } from './config.ts';
import { startDaemon } from './daemon.ts';
import { createLog, reasonOf } from './log.ts';

const { values } = parseArgs({ options: { config: { type: 'string' } } });
const log = createLog();
try {
  if (values.config === undefined) throw new Error('usage: cni.mjs --config FILE');
  const daemon = await startDaemon(readConfig(values.config), log);
  log.info('ready');
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      daemon.stop();
      process.exit(0);
    });
  }
} catch (error) {
  log.warn('cannot start', { error: reasonOf(error) });
  process.exit(1);
}
