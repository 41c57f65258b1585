import { type EtcdRecoveryPreview, getOperation, type Operation, recoverEtcd } from '@rancher/api-client';
import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { findEnvironment, findHost } from '../environments.ts';
import { jsonOption, timeoutOption, waitOption } from '../options.ts';
import { age, type Output, table } from '../output.ts';
import type { OpenContext } from '../program.ts';
import { wait } from '../progress/wait.ts';

interface RecoverOptions {
  host?: string;
  dryRun: boolean;
  wait: boolean;
  timeout: number;
  json: boolean;
}

export function registerRecover(environment: Command, open: OpenContext): void {
  environment
    .command('recover <name>')
    .description('recover etcd from lost quorum, from its best survivor; what only the others hold is lost')
    .option('--host <host>', 'begin anew from the member on this host')
    .option('--dry-run', 'say who would survive and what may be lost, change nothing', false)
    .addOption(waitOption())
    .addOption(timeoutOption(600))
    .addOption(jsonOption())
    .action((name: string, options: RecoverOptions) => recover(open(), name, options));
}

async function recover(context: Context, name: string, options: RecoverOptions): Promise<void> {
  const { client, output } = context;
  const { id } = await findEnvironment(client, name);
  const body = options.host === undefined ? {} : { hostId: (await findHost(client, name, options.host)).id };
  const path = { id };
  const query = { dryRun: options.dryRun };
  const answer = await client.call(recoverEtcd({ client: client.api, path, query, body }));
  if (options.dryRun) return show(output, answer as EtcdRecoveryPreview, options.json);
  const operation = answer as Operation;
  if (options.wait) await wait(context, `Recovering etcd of environment ${name}`, operation, options.timeout);
  const after = options.wait
    ? await client.call(getOperation({ client: client.api, path: { id: operation.id } }))
    : operation;
  if (options.json) return output.json(after);
  output.print(`etcd of environment ${name} (${id}) is ${options.wait ? 'recovered' : 'being recovered'}`);
}

function show(output: Output, preview: EtcdRecoveryPreview, json: boolean): void {
  if (json) {
    output.json(preview);
    return;
  }
  const { survivor, members, message } = preview;
  const rows = members.map((m) => [
    m.host,
    m.answers ? 'yes' : 'no',
    m.appliedIndex === null ? 'unknown' : String(m.appliedIndex),
    m.answers || m.appliedAt === null ? '' : age(m.appliedAt),
    m.hostId === survivor.hostId ? 'survivor' : '',
  ]);
  output.print(`${table(['HOST', 'ANSWERS', 'INDEX', 'ASKED', ''], rows)}\n\n${message}`);
}
