import type { X509Certificate } from 'node:crypto';
import { isIP, type Socket, connect as tcpConnect } from 'node:net';
import { connect as tlsConnect } from 'node:tls';

/** A server of another certificate than the pinned one, whatever it says. */
export class WrongServerError extends Error {}

/**
 * Opens a connection to a server and proves who it is before a byte of ours is sent, since the first ones carry the
 * credential.
 * @param pin SHA-256 of the server's certificate or of its authority's; undefined: the system's roots decide.
 * @throws WrongServerError when it proves to be another one.
 */
export async function dial(url: URL, pin: string | undefined, timeoutMs = 10_000): Promise<Socket> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (url.protocol === 'http:') {
    if (!isLoopback(host))
      throw new WrongServerError(`${url.origin}: plain HTTP is for loopback alone; use https`);
    return await opened(tcpConnect(Number(url.port || 80), host), 'connect', timeoutMs, url);
  }
  const socket = tlsConnect({
    host,
    port: Number(url.port || 443),
    rejectUnauthorized: pin === undefined,
    ...(isIP(host) ? {} : { servername: host }),
    ALPNProtocols: ['http/1.1'],
  });
  await opened(socket, 'secureConnect', timeoutMs, url);
  if (pin !== undefined && !matchesPin(socket.getPeerX509Certificate(), pin, new Date())) {
    socket.destroy();
    throw new WrongServerError(
      `${url.origin} is not the server of this host: its certificate does not match caSha256`,
    );
  }
  return socket;
}

/** Whether the certificate is the pinned one, or is valid and signed through its chain by the pinned one. */
export function matchesPin(leaf: X509Certificate | undefined, pin: string, now: Date): boolean {
  let certificate = leaf;
  for (let depth = 0; certificate !== undefined && depth < 5; depth++) {
    if (certificate.fingerprint256.replaceAll(':', '').toLowerCase() === pin) return true;
    const issuer = certificate.issuerCertificate;
    if (issuer === undefined || issuer.fingerprint256 === certificate.fingerprint256) return false;
    const valid = certificate.validFromDate <= now && now <= certificate.validToDate;
    // The chain is only what the peer sent: each signature of it must hold.
    if (!valid || !issuer.ca || !certificate.checkIssued(issuer) || !certificate.verify(issuer.publicKey))
      return false;
    certificate = issuer;
  }
  return false;
}

async function opened<S extends Socket>(socket: S, event: string, timeoutMs: number, url: URL): Promise<S> {
  socket.setNoDelay(true);
  const timer = setTimeout(() => socket.destroy(new Error(`${url.origin} does not answer`)), timeoutMs);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once(event, () => resolve());
      socket.once('error', reject);
      socket.once('close', () => reject(new Error(`${url.origin} closed the connection`)));
    });
    return socket;
  } finally {
    clearTimeout(timer);
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}
