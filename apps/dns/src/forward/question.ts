import { classIn, headerBytes, ownUdpBytes, type as recordType } from '../wire/constants.ts';
import type { Query } from '../wire/query.ts';

/** What is asked of others: a copy of a query that may outlive it. */
export interface Question {
  /** Wire format, lower case. */
  name: Buffer;
  type: number;
  dnssecOk: boolean;
  checkingDisabled: boolean;
}

export function questionOf(query: Query, packet: Uint8Array): Question {
  return {
    name: Buffer.from(query.name.subarray(0, query.nameLength)),
    type: query.type,
    dnssecOk: query.dnssecOk,
    checkingDisabled: (packet[3]! & 0x10) !== 0,
  };
}

/** Equal for questions that have the same answer. */
export function keyOf({ name, type, dnssecOk, checkingDisabled }: Question): string {
  return `${type},${dnssecOk ? 'd' : ''}${checkingDisabled ? 'c' : ''},${name.toString('latin1')}`;
}

/** As a query to an upstream server, with an empty id. */
export function encodeQuestion(question: Question, edns: boolean): Buffer {
  const { name, type, dnssecOk, checkingDisabled } = question;
  const message = Buffer.alloc(headerBytes + name.length + 4 + (edns ? 11 : 0));
  // RD: recursion is what we are after.
  message[2] = 0x01;
  message[3] = checkingDisabled ? 0x10 : 0;
  message[5] = 1;
  name.copy(message, headerBytes);
  const at = headerBytes + name.length;
  message.writeUInt16BE(type, at);
  message.writeUInt16BE(classIn, at + 2);
  if (edns) {
    message[11] = 1;
    message.writeUInt16BE(recordType.OPT, at + 5);
    message.writeUInt16BE(ownUdpBytes, at + 7);
    message[at + 11] = dnssecOk ? 0x80 : 0;
  }
  return message;
}

/** Whether a message asks the same, which tells an answer from one that was made up. */
export function repeatsQuestion(message: Buffer, { name, type }: Question): boolean {
  const at = headerBytes + name.length;
  if (message.length < at + 4) return false;
  for (let i = 0; i < name.length; i++) {
    let byte = message[headerBytes + i]!;
    if (byte >= 65 && byte <= 90) byte |= 32;
    if (byte !== name[i]) return false;
  }
  return message.readUInt16BE(at) === type && message.readUInt16BE(at + 2) === classIn;
}
