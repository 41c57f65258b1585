import { rmSync } from 'node:fs';
import { writeFileIfChanged } from '../files.ts';
import { run, tryRun } from '../run.ts';
import { agentCommand, agentEnvironment, installed } from './paths.ts';
import type { Supervisor } from './supervisor.ts';

const name = 'rancher-agent';
const file = `/etc/init.d/${name}`;

const [program, ...args] = agentCommand;
export const serviceText = `#!/sbin/openrc-run
description="Agent of a Rancher host"
supervisor=supervise-daemon
command=${program}
command_args="${args.join(' ')}"
respawn_delay=2
respawn_max=0
output_log=${installed.log}
error_log=${installed.log}
${Object.entries(agentEnvironment)
  .map(([key, value]) => `export ${key}=${value}`)
  .join('\n')}

depend() {
  need net
}
`;

export const openrc: Supervisor = {
  name: 'OpenRC',
  async start() {
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
