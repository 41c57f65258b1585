/** The installation that a benchmark runs against: the same as the e2e scenarios', made once and purged at the end. */
import { createInstallation, type Installation } from '../test/e2e/support/installation.ts';

export async function withInstallation<T>(
  name: string,
  work: (rancher: Installation) => Promise<T>,
): Promise<T> {
  const rancher = await createInstallation(`bench-${name}`);
  try {
    await rancher.must(['up']);
    return await work(rancher);
  } finally {
    await rancher.purge();
  }
}
