import dgram from 'node:dgram';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DecodedPacket, decode, encode, type Packet, RECURSION_DESIRED } from 'dns-packet';
import type { DnsConfig } from './config.ts';

export interface Target {
  address: string;
  port: number;
}

/** A query as bytes. */
export function queryBytes(name: string, type: string, more: Partial<Packet> = {}): Buffer {
  return encode({
    type: 'query',
    id: 1 + Math.floor(Math.random() * 65_000),
    flags: RECURSION_DESIRED,
    questions: [{ name, type: type as 'A', class: 'IN' }],
    ...more,
  });
}

/** Sends bytes over UDP and gives what comes back; undefined after `withinMs` of silence. */
export async function overUdp(target: Target, message: Buffer, withinMs = 3000): Promise<Buffer | undefined> {
  const socket = dgram.createSocket('udp4');
  try {
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(() => resolve(undefined), withinMs);
      socket.once('message', (answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
      socket.once('error', reject);
      socket.send(message, target.port, target.address);
    });
  } finally {
    socket.close();
  }
}

/** Sends messages over one TCP connection and gives as many answers. */
export async function overTcp(target: Target, messages: readonly Buffer[]): Promise<Buffer[]> {
  const socket = net.connect(target.port, target.address);
  try {
    return await new Promise((resolve, reject) => {
      let received = Buffer.alloc(0);
      const answers: Buffer[] = [];
      socket.setTimeout(5000, () => reject(new Error('no answer over TCP')));
      socket.once('error', reject);
      socket.once('close', () => resolve(answers));
      socket.on('data', (chunk) => {
        received = Buffer.concat([received, chunk]);
        while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
          answers.push(received.subarray(2, 2 + received.readUInt16BE(0)));
          received = received.subarray(2 + received.readUInt16BE(0));
        }
        if (answers.length === messages.length) resolve(answers);
      });
      for (const message of messages) {
        const length = Buffer.alloc(2);
        length.writeUInt16BE(message.length);
        socket.write(Buffer.concat([length, message]));
      }
    });
  } finally {
    socket.destroy();
  }
}

export interface Asked {
  rcode: string;
  authoritative: boolean;
  truncated: boolean;
  /** `name type data`, sorted. */
  answers: string[];
  authorities: string[];
  additionals: string[];
  packet: DecodedPacket;
}

/** Asks over UDP, with a large EDNS buffer, and gives the answer in a form to compare. */
export async function ask(target: Target, name: string, type: string): Promise<Asked> {
  const query = queryBytes(name, type, {
    additionals: [
      {
        type: 'OPT',
        name: '.',
        udpPayloadSize: 4096,
        flags: 0,
        extendedRcode: 0,
        ednsVersion: 0,
        flag_do: false,
        options: [],
      },
    ],
  });
  const answer = await overUdp(target, query);
  if (answer === undefined) throw new Error(`no answer to ${name} ${type}`);
  return read(answer);
}

export function read(answer: Buffer): Asked {
  const packet = decode(answer);
  const text = (records: DecodedPacket['answers']) =>
    (records ?? [])
      .filter((r) => r.type !== 'OPT')
      .map((r) => `${r.name} ${r.type} ${dataText((r as { data?: unknown }).data)}`.toLowerCase())
      .sort();
  return {
    rcode: (packet as unknown as { rcode: string }).rcode,
    authoritative: packet.flag_aa,
    truncated: packet.flag_tc,
    answers: text(packet.answers),
    authorities: text(packet.authorities),
    additionals: text(packet.additionals),
    packet,
  };
}

function dataText(data: unknown): string {
  if (Array.isArray(data)) return data.map((d) => String(d)).join(' ');
  return typeof data === 'object' && data !== null && !Buffer.isBuffer(data)
    ? JSON.stringify(data)
    : String(data);
}

/** A configuration for loopback, in a folder that `remove` removes. */
export async function testConfig(
  more: Partial<DnsConfig> & { kubernetes: DnsConfig['kubernetes']; port: number; httpPort: number },
): Promise<{ config: DnsConfig; dir: string; remove: () => Promise<void> }> {
  const dir = await mkdtemp(join(tmpdir(), 'rancher-dns-'));
  const config: DnsConfig = {
    listen: ['127.0.0.1'],
    allow: ['127.0.0.0/8'],
    domain: 'cluster.local',
    serverAddress: '10.43.0.10',
    cidrs: ['10.42.0.0/16', '10.43.0.0/16'],
    nameservers: [],
    stubDomains: {},
    snapshotPath: join(dir, 'snapshot.json'),
    threads: 1,
    ...more,
  };
  return { config, dir, remove: () => rm(dir, { recursive: true, force: true }) };
}
