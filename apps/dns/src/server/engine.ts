import { type Answer, type DecodedPacket, decode, encode } from 'dns-packet';
import { questionOf } from '../forward/question.ts';
import { writeEntry } from '../forward/reply.ts';
import type { Resolver } from '../forward/resolver.ts';
import type { Counters } from '../metrics.ts';
import { maxMessageBytes, rcode } from '../wire/constants.ts';
import { Query } from '../wire/query.ts';
import { outcome, type Responder } from './responder.ts';

/** How many CNAMEs are followed, one after the other. */
const longestChain = 8;

/** Answers every query: prepared ones at once, all else in its time. */
export class Engine {
  readonly responder: Responder;
  readonly resolver: Resolver;
  readonly #counters: Counters;

  constructor(responder: Responder, resolver: Resolver, counters: Counters) {
    this.responder = responder;
    this.resolver = resolver;
    this.#counters = counters;
  }

  /**
   * The answer's length in `out` where it is known at once; 0 where there is nothing to answer; -1 where it takes time: see
   * {@link Engine.later}.
   */
  now(packet: Buffer, out: Buffer, limit: number, overUdp: boolean): number {
    const length = this.responder.respond(packet, packet.length, out, limit, overUdp);
    if (length !== outcome.resolve) return length;
    const { query, table } = this.responder;
    if (table.find(query.name, 0, query.nameLength, query.hash) !== 0) return outcome.resolve;
    const question = questionOf(query, packet);
    const now = Date.now();
    const entry = this.resolver.cached(question, now);
    if (entry === undefined) return outcome.resolve;
    this.#counters.count(entry.message[3]! & 0x0f);
    return writeEntry(entry, query, packet, out, overUdp ? Math.min(limit, query.udpBytes) : limit, now);
  }

  /** The answer to a query that {@link Engine.now} gave -1 for. Never rejects. */
  async later(packet: Buffer, limit: number, overUdp: boolean, chain = 0): Promise<Buffer> {
    const query = new Query();
    query.parse(packet, packet.length);
    const most = overUdp ? Math.min(limit, query.udpBytes) : limit;
    const out = Buffer.allocUnsafe(maxMessageBytes);
    try {
      const { table } = this.responder;
      if (table.find(query.name, 0, query.nameLength, query.hash) !== 0) {
        return await this.#follow(query, packet, most, chain);
      }
      const entry = await this.resolver.resolve(questionOf(query, packet));
      this.#counters.count(entry.message[3]! & 0x0f);
      return out.subarray(0, writeEntry(entry, query, packet, out, most, Date.now()));
    } catch {
      this.responder.query.parse(packet, packet.length);
      return out.subarray(0, this.responder.fail(rcode.SERVFAIL, packet, out));
    }
  }

  /** A name of ours that stands for another one: its CNAME, and what the other one has, as far as that can be told. */
  async #follow(query: Query, packet: Buffer, limit: number, chain: number): Promise<Buffer> {
    if (chain >= longestChain) throw new Error('a circle of CNAMEs');
    const asked = decode(packet);
    const question = asked.questions![0]!;
    const alias = await this.#ask({ ...question, type: 'CNAME' }, packet, chain + 1);
    const [cname] = alias.answers ?? [];
    if (cname?.type !== 'CNAME') throw new Error('the CNAME is gone');
    const target = await this.#ask({ ...question, name: cname.data }, packet, chain + 1);
    const answers: Answer[] = [{ ...cname, name: question.name }, ...(target.answers ?? [])];
    const message = {
      type: 'response' as const,
      id: asked.id ?? 0,
      // AA of the name that was asked for; RD as asked; RA; the code of the last name (RFC 6604).
      flags: 0x0400 | (packet.readUInt16BE(2) & 0x0110) | 0x0080 | codeOf(target),
      questions: [question],
      ...(query.hasEdns ? { additionals: [optRecord(query)] } : {}),
    };
    const whole = encode({ ...message, answers, authorities: target.authorities ?? [] });
    this.#counters.count(codeOf(target));
    if (whole.length <= limit) return whole;
    return encode({ ...message, flags: message.flags | 0x0200 });
  }

  /** Asks ourselves, as if by TCP. */
  async #ask(
    question: { name: string; type: string },
    packet: Buffer,
    chain: number,
  ): Promise<DecodedPacket> {
    const query = encode({
      type: 'query',
      flags: packet.readUInt16BE(2) & 0x0110,
      questions: [question as NonNullable<DecodedPacket['questions']>[number]],
    });
    const out = Buffer.allocUnsafe(maxMessageBytes);
    const length = this.now(query, out, maxMessageBytes, false);
    if (length !== outcome.resolve) return decode(out.subarray(0, length));
    return decode(await this.later(query, maxMessageBytes, false, chain));
  }
}

function codeOf(packet: DecodedPacket): number {
  return (packet.flags ?? 0) & 0x0f;
}

function optRecord(query: Query) {
  return {
    type: 'OPT' as const,
    name: '.' as const,
    udpPayloadSize: 1232,
    extendedRcode: 0,
    ednsVersion: 0,
    flags: query.dnssecOk ? 0x8000 : 0,
    flag_do: query.dnssecOk,
    options: [],
  };
}
