import { type Installation, type InstanceRow, run, until } from './installation.ts';

/** The member of an environment's etcd that leads, as it says itself. */
export function etcdLeader(rancher: Installation, environment: string): Promise<InstanceRow> {
  return until('etcd has a leader', () => memberThatSays(rancher, environment, /^etcd_server_is_leader 1$/m));
}

/** A member that knows of no leader, as one that is cut off from it. */
export function etcdWithoutLeader(rancher: Installation, environment: string): Promise<InstanceRow> {
  return until('a member of etcd has no leader', () =>
    memberThatSays(rancher, environment, /^etcd_server_has_leader 0$/m),
  );
}

async function memberThatSays(
  rancher: Installation,
  environment: string,
  words: RegExp,
): Promise<InstanceRow | undefined> {
  const members = (await rancher.instances(environment)).filter((i) => i.component === 'etcd');
  for (const member of members.filter((m) => m.pid !== null)) {
    if (words.test(await etcdMetrics(member.pid!))) return member;
  }
  return undefined;
}

/** What a member tells its metrics, by its process. */
export async function etcdMetrics(pid: number): Promise<string> {
  const ask = ['-t', String(pid), '-n', 'curl', '-s', 'http://127.0.0.1:2381/metrics'];
  return (await run('nsenter', ask)).stdout;
}
