import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { readIfPresent, writeFileIfChanged } from '../files.ts';
import { agentCommand, agentEnvironment, exitForGood, installed } from './paths.ts';
import type { Supervisor } from './supervisor.ts';

export const keeperPidFile = '/run/rancher-agent.pid';
export const keeperScript = join(installed.program, 'keep.sh');
const stopWithinMs = 10_000;

/** Where no init system is known: a loop in a session of its own. SIGTERM ends it, and the agent with it. */
export const keepText = `#!/bin/sh
# Keeps the agent of this host running. Let whatever starts this machine start this.
set -u
${Object.entries(agentEnvironment)
  .map(([name, value]) => `export ${name}=${value}`)
  .join('\n')}
agent=''
trap '[ -z "$agent" ] || { kill -TERM "$agent" 2>/dev/null; wait "$agent"; }; rm -f ${keeperPidFile}; exit 0' TERM INT
trap '' HUP
cd /
echo $$ >${keeperPidFile}
while :; do
  ${agentCommand.join(' ')} &
  agent=$!
  wait "$agent"
  code=$?
  # The host was removed: there is nothing to run.
  if [ "$code" = ${exitForGood} ]; then rm -f ${keeperPidFile}; exit 0; fi
  sleep 1 &
  wait $!
done
`;

export const keeper: Supervisor = {
  name: 'a loop of its own',
  // In a container the image's entrypoint starts it (deploy/agent).
  ...(process.env.container !== undefined
    ? {}
    : {
        caveat: `Nothing starts the agent when this machine boots, as neither systemd nor OpenRC runs here: let something run ${keeperScript}.`,
      }),
  async start() {
    await stop();
    writeFileIfChanged(keeperScript, keepText, 0o755);
    const log = openSync(installed.log, 'a', 0o640);
    const child = spawn('/bin/sh', [keeperScript], {
      detached: true,
      cwd: '/',
      // Nothing of the shell that installs.
      env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root' },
      stdio: ['ignore', log, log],
    });
    try {
      await once(child, 'spawn');
    } finally {
      closeSync(log);
    }
    child.unref();
  },
  remove: stop,
};

async function stop(): Promise<void> {
  const pid = Number(readIfPresent(keeperPidFile));
  const runs = () => (readIfPresent(`/proc/${pid}/cmdline`) ?? '').includes(keeperScript);
  if (pid > 1 && runs()) {
    process.kill(pid, 'SIGTERM');
    for (const begun = Date.now(); runs() && Date.now() - begun < stopWithinMs; ) await delay(20);
    if (runs()) process.kill(pid, 'SIGKILL');
  }
  rmSync(keeperPidFile, { force: true });
}
