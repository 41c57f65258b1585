import { spawn } from 'node:child_process';
import { setPriority } from 'node:os';
import { env as inherited } from 'node:process';
import { createInterface } from 'node:readline';

export interface RunOptions {
  cwd?: string;
  /** Added to the inherited environment: Go, tar and apt-get read variables of their own (GOPROXY, HTTPS_PROXY, …). */
  env?: Record<string, string>;
  /** Runs it behind everything else on the machine. */
  nice?: boolean;
  /** Called for each line of standard error. */
  onLine?: (line: string) => void;
}

export interface RunResult {
  /** Exit code; 127 where the program does not exist, 128 where a signal ended it. */
  code: number;
  stdout: string;
  /** The last lines of standard error. */
  tail: string[];
}

const tailLines = 12;

/** Runs a program to its end. Does not throw: a missing program is exit code 127, as in a shell. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: { ...inherited, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const tail: string[] = [];
    let stdout = '';
    if (options.nice && child.pid !== undefined) setPriority(child.pid, 15);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    createInterface({ input: child.stderr }).on('line', (line) => {
      tail.push(line);
      if (tail.length > tailLines) tail.shift();
      options.onLine?.(line);
    });
    child.on('error', (error) => resolve({ code: 127, stdout: '', tail: [error.message] }));
    child.on('close', (code) => resolve({ code: code ?? 128, stdout, tail }));
  });
}

/** A variable that belongs to Go and not to Rancher, such as GOPROXY. */
export function goVariable(name: `GO${string}`): string | undefined {
  return inherited[name] || undefined;
}
