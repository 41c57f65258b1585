import { rmSync } from 'node:fs';
import { writeFileIfChanged } from '../files.ts';
import { run, tryRun } from '../run.ts';
import { agentCommand, agentEnvironment, exitForGood } from './paths.ts';
import type { Supervisor } from './supervisor.ts';

const unit = 'rancher-agent.service';
const file = `/etc/systemd/system/${unit}`;

/** What the agent runs is in cgroups of its own and outlives it: hence `KillMode=process`. */
export const unitText = `[Unit]
Description=Agent of a Rancher host
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=${agentCommand.join(' ')}
${Object.entries(agentEnvironment)
  .map(([name, value]) => `Environment=${name}=${value}`)
  .join('\n')}
Restart=always
RestartSec=1
RestartPreventExitStatus=${exitForGood}
KillMode=process
Delegate=yes
LimitNOFILE=1048576
TasksMax=infinity
OOMScoreAdjust=-900

[Install]
WantedBy=multi-user.target
`;

export const systemd: Supervisor = {
  name: 'systemd',
  async start() {
    writeFileIfChanged(file, unitText, 0o644);
    await run('systemctl', ['daemon-reload']);
    await run('systemctl', ['enable', unit]);
    await run('systemctl', ['restart', unit]);
  },
  async remove() {
    await tryRun('systemctl', ['disable', '--now', unit]);
    rmSync(file, { force: true });
    await tryRun('systemctl', ['daemon-reload']);
    await tryRun('systemctl', ['reset-failed', unit]);
  },
};
