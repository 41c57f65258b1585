import { rmSync } from 'node:fs';
import { writeFileIfChanged } from '../files.ts';
import { run, tryRun } from '../run.ts';
import { keeperPidFile, keeperScript, keepText } from './keeper.ts';
import { installed } from './paths.ts';
import type { Supervisor } from './supervisor.ts';

const name = 'rancher-agent';
const file = `/etc/init.d/${name}`;

/**
 * Runs the loop that keeps the agent. Not supervise-daemon: it would start an agent again that will not run, the host
 * having been removed; nor start-stop-daemon, which on Debian is another program than OpenRC's. The network is not waited
 * for, as the agent dials until it gets through.
 */
export const serviceText = `#!/sbin/openrc-run
description="Agent of a Rancher host"
pidfile=${keeperPidFile}

depend() {
  use net
  after net networking
}

start() {
  ebegin "Starting $RC_SVCNAME"
  setsid /bin/sh ${keeperScript} >>${installed.log} 2>&1 </dev/null &
  eend 0
}

stop() {
  ebegin "Stopping $RC_SVCNAME"
  pid=$(cat "$pidfile" 2>/dev/null) && kill -TERM "$pid" 2>/dev/null
  tries=100
  while [ -f "$pidfile" ] && kill -0 "$pid" 2>/dev/null && [ $tries -gt 0 ]; do
    sleep 0.1
    tries=$((tries - 1))
  done
  eend 0
}
`;

export const openrc: Supervisor = {
  name: 'OpenRC',
  async start() {
    writeFileIfChanged(keeperScript, keepText, 0o755);
    writeFileIfChanged(file, serviceText, 0o755);
    await run('rc-update', ['add', name, 'default']);
    await run('rc-service', [name, 'restart']);
  },
  async remove() {
    await tryRun('rc-service', [name, 'stop']);
    await tryRun('rc-update', ['del', name, 'default']);
    rmSync(file, { force: true });
  },
};
