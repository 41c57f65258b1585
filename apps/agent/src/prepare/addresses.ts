import { run } from '../run.ts';

const present = new Set<string>();

/**
 * Makes an address exist on this host, on the loopback interface: it answers there for the host's own processes and
 * pods, and needs no device that a kernel may lack (a dummy interface does).
 */
export async function ensureAddress(address: string): Promise<void> {
  if (present.has(address)) return;
  await run('ip', ['address', 'replace', `${address}/32`, 'dev', 'lo']);
  present.add(address);
}
