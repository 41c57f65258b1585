import { spawn } from 'node:child_process';

export interface Output {
  code: number;
  stdout: string;
  stderr: string;
}

/** How long one program may take (ms): a call of a runtime must have its answer before the runtime gives up. */
const timeoutMs = 30_000;

/** Runs a program to its end. Never throws: what cannot be started ends with code 127, what takes too long with 128. */
export function run(
  file: string,
  args: readonly string[],
  { input = '', env = process.env }: { input?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<Output> {
  return new Promise((resolve) => {
    const child = spawn(file, args, { env, stdio: 'pipe', timeout: timeoutMs, killSignal: 'SIGKILL' });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (data: Buffer) => void out.push(data));
    child.stderr.on('data', (data: Buffer) => void err.push(data));
    child.once('error', (error) => resolve({ code: 127, stdout: '', stderr: error.message }));
    child.once('close', (code, signal) => {
      const said = Buffer.concat(err).toString();
      const stderr = signal === null ? said : `${said}\nended by ${signal}`;
      resolve({ code: code ?? 128, stdout: Buffer.concat(out).toString(), stderr: stderr.trim() });
    });
    // It may end before it has read everything; its exit code says why.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}

/** Runs a program; gives its output. @throws Error with its own last words. */
export async function must(file: string, args: readonly string[], input?: string): Promise<string> {
  const { code, stdout, stderr } = await run(file, args, input === undefined ? {} : { input });
  if (code === 0) return stdout;
  throw new Error(
    `${file} ${args.join(' ')}: ${stderr.split('\n').slice(-3).join('; ') || `exit code ${code}`}`,
  );
}
