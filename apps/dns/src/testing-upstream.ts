import dgram from 'node:dgram';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { type Answer, decode, encode, type Packet } from 'dns-packet';

export interface Reply {
  answers?: Answer[];
  authorities?: Answer[];
  rcode?: number;
  /** Cut over UDP. */
  truncated?: boolean;
  /** Bytes in place of an answer. */
  raw?: Buffer;
}

/** A name server that says what a test wants, over UDP and TCP; silence for undefined. */
export class TestUpstream {
  readonly asked: string[] = [];
  reply: (name: string, type: string, overTcp: boolean) => Reply | undefined = () => ({ rcode: 3 });
  readonly #udp = dgram.createSocket('udp4');
  readonly #tcp = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      const answer = this.#answer(chunk.subarray(2), true);
      if (answer === undefined) return;
      const length = Buffer.alloc(2);
      length.writeUInt16BE(answer.length);
      socket.end(Buffer.concat([length, answer]));
    });
  });
  readonly #host: string;
  port = 0;

  private constructor(host: string) {
    this.#host = host;
  }

  static async start(host = '127.0.0.1'): Promise<TestUpstream> {
    const server = new TestUpstream(host);
    server.#udp.on('message', (message, from) => {
      const answer = server.#answer(message, false);
      if (answer !== undefined) server.#udp.send(answer, from.port, from.address);
    });
    server.#tcp.listen(0, host);
    await once(server.#tcp, 'listening');
    server.port = (server.#tcp.address() as AddressInfo).port;
    server.#udp.bind(server.port, host);
    await once(server.#udp, 'listening');
    return server;
  }

  get address(): string {
    return `${this.#host}:${this.port}`;
  }

  stop(): void {
    this.#udp.close();
    this.#tcp.close();
  }

  #answer(message: Buffer, overTcp: boolean): Buffer | undefined {
    const query = decode(message);
    const question = query.questions![0]!;
    this.asked.push(`${question.name} ${question.type}${overTcp ? ' tcp' : ''}`);
    const reply = this.reply(question.name.toLowerCase(), question.type, overTcp);
    if (reply === undefined) return undefined;
    if (reply.raw !== undefined) return reply.raw;
    const packet: Packet = {
      type: 'response',
      id: query.id ?? 0,
      flags: 0x0180 | (reply.rcode ?? 0) | (reply.truncated ? 0x0200 : 0),
      questions: [question],
      answers: reply.answers ?? [],
      authorities: reply.authorities ?? [],
    };
    return encode(packet);
  }
}
