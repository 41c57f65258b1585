import { must, run } from '../run.ts';

const chain = 'RANCHER-FORWARD';

/**
 * Lets packets from and to pods through where the machine's own filter would not, such as Docker's and ufw's, which forbid
 * to forward what they do not know. Elsewhere it changes nothing. What NetworkPolicies forbid stays forbidden: they are in
 * a table of their own. Idempotent; asked again and again, as Docker may be started any time.
 */
export async function permitForwarding(podCidr: string): Promise<void> {
  const listed = await run('iptables', ['--wait', '-S', 'FORWARD']);
  if (listed.code !== 0 || !forbids(listed.stdout) || permits(listed.stdout)) return;
  const input = `*filter
:${chain} - [0:0]
-A ${chain} -s ${podCidr} -j ACCEPT
-A ${chain} -d ${podCidr} -j ACCEPT
-I FORWARD -j ${chain}
COMMIT
`;
  await must('iptables-restore', ['--wait', '--noflush'], input);
}

/** Whether the output of `iptables -S FORWARD` forbids anything. */
export function forbids(rules: string): boolean {
  return /^-P FORWARD DROP$/m.test(rules) || /^-A FORWARD .*-[jg] (?:DROP|REJECT|ufw-)/m.test(rules);
}

function permits(rules: string): boolean {
  return rules.includes(`-A FORWARD -j ${chain}\n`);
}
