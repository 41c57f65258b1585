import { peerPort } from '@rancher/contracts';
import { describe, expect, it } from 'vitest';
import { probePeer } from './peer.ts';

describe('a peer', () => {
  it.each(['127.0.0.1', '0.0.0.0', '169.254.169.254', '224.0.0.1', '255.255.255.255', '::1', 'host', ''])(
    'is not at %s',
    (address) => {
      expect(() => probePeer(address, peerPort)).toThrow('is not the address of another host');
    },
  );

  it('is asked at no other port', () => {
    expect(() => probePeer('10.0.0.1', 22)).toThrow(`at port ${peerPort} alone, not at 22`);
  });
});
