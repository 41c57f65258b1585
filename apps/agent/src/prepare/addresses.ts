import { run } from '../run.ts';

const present = new Set<string>();

/** Marks our addresses among others' on the loopback interface (ip-address(8)). */
export const addressLabel = 'lo:rancher';

/**
 * Makes an address exist on this host, on the loopback interface: it answers there for the host's own processes and
 * pods, and needs no device that a kernel may lack (a dummy interface does).
 */
export async function ensureAddress(address: string): Promise<void> {
  if (present.has(address)) return;
  await run('ip', ['address', 'replace', `${address}/32`, 'dev', 'lo', 'label', addressLabel]);
  present.add(address);
}
