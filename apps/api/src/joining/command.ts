import { agentPaths } from '@rancher/contracts';
import type { Context } from '../context.ts';
import { quoted } from './shell.ts';

/** What is known of the host before it joins: becomes arguments of the command. */
export interface JoinWish {
  labels: Record<string, string>;
  name?: string | undefined;
  address?: string | undefined;
}

export interface JoinCommands {
  command: string;
  containerCommand: string;
}

/**
 * The one command to run as root on the machine that is to join.
 *
 * The authority's certificate is in it, and curl checks the server by that (`--cacert`), before a byte of the script is
 * run. Not `--insecure --pinnedpubkey`: that would name the key of one server's certificate, which changes when it is
 * renewed and differs between replicas, while the authority is the installation's for its life. Should curl fail, the
 * shell gets a script that fails, as a pipe alone would end well.
 */
export function joinCommand(context: Context, token: string, wish: JoinWish): JoinCommands {
  const server = `https://${context.config.advertise}`;
  const ca = context.tls.caPem.trim().replaceAll('\n', '\\n');
  const curl = `printf %b '${ca}\\n' | curl -fsSL --connect-timeout 10 --cacert /dev/stdin ${quoted(server + agentPaths.install)}`;
  const script = `(${curl} || echo exit 1) | sh -s -- ${joinArguments(token, wish)}`;
  return { command: script, containerCommand: inContainer(context, script) };
}

/**
 * The container is the machine: its own processes and file system, a volume for what must stay, the network of the
 * machine it runs on. Started again, it is the same host.
 */
function inContainer({ config }: Context, script: string): string {
  return [
    'docker run --detach --name rancher-agent --restart unless-stopped --init',
    '--privileged --network host --cgroupns private',
    '--tmpfs /run --tmpfs /tmp:exec --volume rancher-agent:/var/lib --volume /lib/modules:/lib/modules:ro',
    quoted(config.agentImage),
    quoted(script),
  ].join(' ');
}

function joinArguments(token: string, { labels, name, address }: JoinWish): string {
  const words = ['--token', token];
  if (name !== undefined) words.push('--name', name);
  if (address !== undefined) words.push('--address', address);
  for (const [key, value] of Object.entries(labels)) words.push('--label', `${key}=${value}`);
  return words.map(quoted).join(' ');
}
