import { spawn } from 'node:child_process';
import { table } from './script.ts';

/** Does what a script says, all of it or nothing. Throws with nft's own words. */
export type RunScript = (script: string) => Promise<void>;

export interface Nft {
  run: RunScript;
  /** Whether our table is there, and looks as after the last `run`: chains and sets, not their elements. Null: no table. */
  fingerprint(): Promise<string | null>;
}

/**
 * The `nft` of the host. `enter`: words to put in front of it, to work in another network namespace (`ip netns exec x`).
 * A run that takes more than a minute is ended and fails.
 */
export function hostNft(enter: string[] = []): Nft {
  const call = (args: string[], input?: string) => execute([...enter, 'nft', ...args], input);
  return {
    async run(script) {
      const { code, stderr } = await call(['-f', '-'], script);
      if (code !== 0) throw new Error(`nft: ${firstLines(stderr)}`);
    },
    async fingerprint() {
      const { code, stdout, stderr } = await call(['-t', 'list', 'table', ...table.split(' ')]);
      if (code === 0) return stdout;
      if (/No such file or directory/.test(stderr)) return null;
      throw new Error(`nft: ${firstLines(stderr)}`);
    },
  };
}

function firstLines(text: string): string {
  return text.trim().split('\n').slice(0, 3).join(' ').slice(0, 500) || 'failed without a word';
}

function execute(command: string[], input = ''): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const [program, ...args] = command as [string, ...string[]];
    const child = spawn(program, args, { stdio: 'pipe', timeout: 60_000, killSignal: 'SIGKILL' });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (data: Buffer) => out.push(data));
    child.stderr.on('data', (data: Buffer) => err.push(data));
    child.on('error', reject);
    child.on('close', (code) =>
      resolve({
        code: code ?? 128,
        stdout: Buffer.concat(out).toString(),
        stderr: Buffer.concat(err).toString(),
      }),
    );
    child.stdin.on('error', () => {}).end(input);
  });
}
