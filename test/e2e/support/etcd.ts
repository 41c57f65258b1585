import { type Installation, type InstanceRow, run, until } from './installation.ts';

/** The member of an environment's etcd that leads, as it says itself. */
export function etcdLeader(rancher: Installation, environment: string): Promise<InstanceRow> {
  return until('etcd has a leader', async () => {
    const members = (await rancher.instances(environment)).filter((i) => i.component === 'etcd');
    for (const member of members.filter((m) => m.pid !== null)) {
      const ask = ['-t', String(member.pid), '-n', 'curl', '-s', 'http://127.0.0.1:2381/metrics'];
      const metrics = await run('nsenter', ask);
      if (/^etcd_server_is_leader 1$/m.test(metrics.stdout)) return member;
    }
    return undefined;
  });
}
