import { connect, isIPv4 } from 'node:net';
import { peerPort } from '@rancher/contracts';

const timeoutMs = 2_000;

export type PeerAnswer = 'open' | 'refused' | 'silent';

/**
 * Whether another host answers this one. A refused connection is an answer too: its kernel gave it.
 * @throws Error for any port but kubelet's and for addresses that no other host has: an agent is no scanner
 */
export function probePeer(address: string, port: number): Promise<PeerAnswer> {
  if (port !== peerPort) throw new Error(`peers are asked at port ${peerPort} alone, not at ${port}`);
  const first = Number(address.split('.')[0]);
  if (!isIPv4(address) || first === 0 || first === 127 || first >= 224 || address.startsWith('169.254.'))
    throw new Error(`${address} is not the address of another host`);
  return new Promise((resolve) => {
    const socket = connect({ host: address, port, timeout: timeoutMs });
    const end = (answer: PeerAnswer) => {
      socket.destroy();
      resolve(answer);
    };
    socket.on('connect', () => end('open'));
    socket.on('timeout', () => end('silent'));
    socket.on('error', (error: NodeJS.ErrnoException) =>
      end(error.code === 'ECONNREFUSED' || error.code === 'ECONNRESET' ? 'refused' : 'silent'),
    );
  });
}
