import { kernelNames } from '@rancher/domain';
import { must, run } from '../run.ts';

const { networkTable: table, overlayLink } = kernelNames;
const chain = 'RANCHER-CNI';
const multicast = '224.0.0.0/4';

/**
 * Pods keep their address among each other, and take that of their host towards everybody else. TCP over the overlay is
 * told its size on opening, for the sake of pods that were connected when there was no overlay. One transaction.
 */
export async function applyFirewall(kind: 'nftables' | 'iptables', podCidr: string): Promise<void> {
  if (kind === 'nftables') await must('nft', ['-f', '-'], nftRules(podCidr));
  else await iptablesRules(podCidr);
}

function nftRules(podCidr: string): string {
  return `table ip ${table}
delete table ip ${table}
table ip ${table} {
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr ${podCidr} ip daddr != { ${podCidr}, ${multicast} } masquerade fully-random
  }
  chain forward {
    type filter hook forward priority mangle; policy accept;
    oifname "${overlayLink}" tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu
  }
}
`;
}

async function iptablesRules(podCidr: string): Promise<void> {
  const input = `*nat
:${chain} - [0:0]
-A ${chain} -d ${podCidr} -j RETURN
-A ${chain} -d ${multicast} -j RETURN
-A ${chain} -s ${podCidr} -j MASQUERADE --random-fully
COMMIT
*mangle
:${chain} - [0:0]
-A ${chain} -o ${overlayLink} -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
COMMIT
`;
  await must('iptables-restore', ['--wait', '--noflush'], input);
  await jump('nat', 'POSTROUTING');
  await jump('mangle', 'FORWARD');
}

async function jump(inTable: string, from: string): Promise<void> {
  const rule = [from, '-j', chain];
  const there = await run('iptables', ['--wait', '-t', inTable, '-C', ...rule]);
  if (there.code !== 0) await must('iptables', ['--wait', '-t', inTable, '-A', ...rule]);
}
