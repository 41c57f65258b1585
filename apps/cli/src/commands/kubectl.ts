import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from '../context.ts';
import { findEnvironment } from '../environments.ts';
import { Failure, Misuse } from '../errors.ts';
import { ensureKubeconfig } from '../kubeconfig.ts';
import { defaultEnvironment } from '../options.ts';

/**
 * Splits what is ours (`-e ENV` in front) from what is kubectl's (the rest, untouched).
 * @throws Misuse when -e names nothing
 */
export function splitArguments(args: string[]): { environment: string; rest: string[] } {
  const [first = '', second] = args;
  const joined = /^(?:-e|--environment)=(.+)$/.exec(first)?.[1];
  if (joined !== undefined) return { environment: joined, rest: args.slice(1) };
  if (first !== '-e' && first !== '--environment') return { environment: defaultEnvironment, rest: args };
  if (second === undefined || second.startsWith('-'))
    throw new Misuse(`${first} must be followed by an environment`);
  return { environment: second, rest: args.slice(2) };
}

/**
 * Becomes kubectl, of the environment's own version: its exit code, signals and terminal are this command's. Returns only
 * by an error.
 */
export async function runKubectl(context: Context, args: string[], env: NodeJS.ProcessEnv): Promise<never> {
  const { environment: name, rest } = splitArguments(args);
  const { client, settings } = context;
  const environment = await findEnvironment(client, name);
  const kubeconfig = await ensureKubeconfig(context, environment);
  const program = kubectlOf(settings.config.cache, environment.spec.kubernetesVersion);
  return process.execve!(program, ['kubectl', ...rest], definedOnly({ ...env, KUBECONFIG: kubeconfig }));
}

function kubectlOf(cache: string, version: string): string {
  const file = join(cache, 'artifacts', `kubernetes-${version}`, 'kubectl');
  if (!existsSync(file))
    throw new Failure(`${file} is not there: fetch it with ./rancher artifacts fetch ${version}`);
  return file;
}

function definedOnly(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter((e): e is [string, string] => e[1] !== undefined));
}
