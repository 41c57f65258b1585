import { execFile } from 'node:child_process';

/** Runs a program to its end; gives its output. @throws Error with its own last words. */
export async function run(file: string, args: string[], input?: string): Promise<string> {
  return await new Promise((resolve, reject) => {
    const child = execFile(file, args, { maxBuffer: 16 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      const said = stderr.trim().split('\n').slice(-3).join('; ');
      reject(new Error(`${file} ${args.join(' ')}: ${said || error.message}`));
    });
    // It may end before it has read everything; its exit code says why.
    child.stdin?.on('error', () => {});
    child.stdin?.end(input);
  });
}

/** Runs it for its effect, where that may be there already or not at all. */
export async function tryRun(file: string, args: string[]): Promise<boolean> {
  return await run(file, args).then(
    () => true,
    () => false,
  );
}
