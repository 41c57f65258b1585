import type { Exit } from '@rancher/runtimes';

/** How a process ended, for a user. */
export function exitInWords({ code, signal }: Exit): string {
  if (signal !== null) return `its process was ended by ${signal}`;
  if (code === null) return 'its process ended';
  if (code === 126 || code === 127) return `its program could not be executed (exit code ${code})`;
  return `its process exited with code ${code}`;
}
