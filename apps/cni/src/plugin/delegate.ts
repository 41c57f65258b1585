import { join } from 'node:path';
import { run } from '../run.ts';
import type { Attachment } from './attachments.ts';
import { CniError, codes, type NetworkConfig } from './call.ts';

/**
 * Calls a reference plugin for an attachment; gives its standard output.
 * @throws CniError as the plugin said it, or in its stead when it said nothing.
 */
export async function delegate(
  plugins: string,
  command: 'ADD' | 'DEL' | 'CHECK',
  attachment: Attachment,
  config: NetworkConfig,
): Promise<string> {
  const { code, stdout, stderr } = await run(join(plugins, config.type), [], {
    input: JSON.stringify(config),
    env: {
      PATH: process.env.PATH,
      CNI_COMMAND: command,
      CNI_CONTAINERID: attachment.containerId,
      CNI_NETNS: attachment.netns,
      CNI_IFNAME: attachment.ifname,
      CNI_ARGS: attachment.args,
      CNI_PATH: plugins,
    },
  });
  if (code === 0) return stdout;
  throw errorIn(config.type, stdout, stderr);
}

function errorIn(plugin: string, stdout: string, stderr: string): CniError {
  try {
    const { code, msg, details } = JSON.parse(stdout) as { code: number; msg: string; details?: string };
    if (typeof code === 'number' && typeof msg === 'string')
      return new CniError(code, `${plugin}: ${msg}`, details);
  } catch {
    // It did not get as far as saying what is wrong.
  }
  return new CniError(codes.io, `the plugin ${plugin} failed`, stderr || stdout);
}
