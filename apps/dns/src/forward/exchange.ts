import { randomInt } from 'node:crypto';
import dgram from 'node:dgram';
import net from 'node:net';
import { rcode } from '../wire/constants.ts';
import { type Scanned, scan } from './message.ts';
import { encodeQuestion, type Question, repeatsQuestion } from './question.ts';

export interface Answered {
  message: Buffer;
  scanned: Scanned;
}

/** A server that is asked, `address` or `address:port` (`[v6]:port`). */
export interface Upstream {
  address: string;
  port: number;
}

/** How long one server has to answer (ms). Clients ask again after five seconds. */
const udpTimeoutMs = 1200;
const tcpTimeoutMs = 3000;

/**
 * Asks one server: over UDP, from a port of its own each time, so that port and id are both to be guessed by whoever would
 * forge an answer; over TCP where the answer was cut.
 * @throws Error when it does not answer, or refuses to.
 */
export async function exchange(upstream: Upstream, question: Question): Promise<Answered> {
  let answer = await overUdp(upstream, encodeQuestion(question, true), question);
  // Servers from before EDNS say so in these two ways (RFC 6891, 7).
  if (answer.scanned.rcode === rcode.FORMERR || answer.scanned.rcode === rcode.NOTIMP) {
    answer = await overUdp(upstream, encodeQuestion(question, false), question);
  }
  if (answer.scanned.truncated) answer = await overTcp(upstream, encodeQuestion(question, true), question);
  const { rcode: code } = answer.scanned;
  if (code !== rcode.NOERROR && code !== rcode.NXDOMAIN)
    throw new Error(`${upstream.address} answers with code ${code}`);
  return answer;
}

function overUdp({ address, port }: Upstream, query: Buffer, question: Question): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const socket = dgram.createSocket(net.isIPv6(address) ? 'udp6' : 'udp4');
    const timer = setTimeout(() => finish(new Error(`${address} does not answer`)), udpTimeoutMs);
    query.writeUInt16BE(randomInt(65_536), 0);
    let done = false;
    function finish(result: Error | Answered): void {
      if (done) return;
      done = true;
      clearTimeout(timer);
      socket.close();
      if (result instanceof Error) reject(result);
      else resolve(result);
    }
    socket.on('error', finish);
    socket.on('message', (message) => {
      const answered = check(message, query, question);
      if (answered !== undefined) finish(answered);
    });
    // Connected: the kernel lets only that server's packets in, and tells when nobody is there.
    socket.connect(port, address, (error?: Error) => {
      if (error !== undefined && error !== null) finish(error);
      else if (!done) socket.send(query);
    });
  });
}

function overTcp({ address, port }: Upstream, query: Buffer, question: Question): Promise<Answered> {
  return new Promise((resolve, reject) => {
    query.writeUInt16BE(randomInt(65_536), 0);
    const socket = net.connect({ host: address, port });
    const fail = (error: Error) => {
      socket.destroy();
      reject(error);
    };
    socket.setTimeout(tcpTimeoutMs, () => fail(new Error(`${address} does not answer over TCP`)));
    socket.once('error', fail);
    socket.once('close', () => reject(new Error(`${address} closed the connection`)));
    let received = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
      const answered = check(received.subarray(2, 2 + received.readUInt16BE(0)), query, question);
      if (answered === undefined) return fail(new Error(`${address} answers something else over TCP`));
      resolve(answered);
      socket.destroy();
    });
    const length = Buffer.alloc(2);
    length.writeUInt16BE(query.length);
    socket.write(Buffer.concat([length, query]));
  });
}

/** The answer, where it is one to this query; whatever else comes is passed over. */
function check(message: Buffer, query: Buffer, question: Question): Answered | undefined {
  if (message.length < 12 || message.readUInt16BE(0) !== query.readUInt16BE(0)) return undefined;
  if (!repeatsQuestion(message, question)) {
    // Some leave the question out where they cannot read it.
    return undefined;
  }
  const scanned = scan(message);
  return scanned === undefined ? undefined : { message, scanned };
}
