import { metadataAddress } from '@rancher/domain';
import { hasProgram } from '../facts.ts';
import { ensureAddress } from '../prepare/addresses.ts';
import { run, tryRun } from '../run.ts';

/** Where it listens behind port 80. */
const port = 8250;
const table = 'rancher-metadata';

/**
 * Port 80 of the metadata address leads to another one, so that whoever wants port 80 of all addresses (a load balancer, a
 * pod with the host's network) can have it beside us. Before kube-proxy and host ports of pods, which take what is for
 * any address of the host. (nft knows the name dstnat, -100, in prerouting alone.)
 */
const rules = `table ip ${table} {}
delete table ip ${table}
table ip ${table} {
  chain prerouting {
    type nat hook prerouting priority -110;
    ip daddr ${metadataAddress} tcp dport 80 dnat to ${metadataAddress}:${port}
  }
  chain output {
    type nat hook output priority -110;
    ip daddr ${metadataAddress} tcp dport 80 dnat to ${metadataAddress}:${port}
  }
}
`;

/** Makes the address be there; gives the port to listen on. Without nft that is port 80 itself. */
export async function raiseAddress(): Promise<number> {
  await ensureAddress(metadataAddress);
  if (!hasProgram('nft')) return 80;
  await run('nft', ['-f', '-'], rules);
  return port;
}

/** Takes it away again from a host that is no more. */
export async function lowerAddress(): Promise<void> {
  await tryRun('nft', ['delete', 'table', 'ip', table]);
  await tryRun('ip', ['address', 'delete', `${metadataAddress}/32`, 'dev', 'lo']);
}
