import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { inflateRaw } from 'node:zlib';

const inflate = promisify(inflateRaw);

const endOfCentralDirectory = 0x06054b50;
const centralHeader = 0x02014b50;
const localHeader = 0x04034b50;

export interface ZipEntry {
  name: string;
  /** Throws an Error where the entry cannot be unpacked. */
  read(): Promise<Buffer>;
}

/**
 * The files of a zip archive (APPNOTE.TXT 6.3; stored or deflated, not zip64), as Go's module proxy serves. Node has no
 * reader of its own, and not every host has `unzip`. Checksums are left to the caller. Throws an Error if it is none.
 */
export async function readZip(path: string): Promise<ZipEntry[]> {
  const zip = await readFile(path);
  const end = zip.lastIndexOf(Buffer.from([0x50, 0x4b, 0x05, 0x06]));
  if (end < 0 || zip.readUInt32LE(end) !== endOfCentralDirectory) throw new Error('not a zip archive');
  const count = zip.readUInt16LE(end + 10);
  const entries: ZipEntry[] = [];
  let at = zip.readUInt32LE(end + 16);
  for (let i = 0; i < count; i++) {
    if (zip.readUInt32LE(at) !== centralHeader) throw new Error('damaged zip archive');
    const method = zip.readUInt16LE(at + 10);
    const size = zip.readUInt32LE(at + 20);
    const nameLength = zip.readUInt16LE(at + 28);
    const header = zip.readUInt32LE(at + 42);
    const name = zip.toString('utf8', at + 46, at + 46 + nameLength);
    at += 46 + nameLength + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32);
    if (!name.endsWith('/')) entries.push({ name, read: () => readEntry(zip, header, size, method) });
  }
  return entries;
}

async function readEntry(zip: Buffer, header: number, size: number, method: number): Promise<Buffer> {
  if (zip.readUInt32LE(header) !== localHeader) throw new Error('damaged zip archive');
  const start = header + 30 + zip.readUInt16LE(header + 26) + zip.readUInt16LE(header + 28);
  const data = zip.subarray(start, start + size);
  if (method === 0) return data;
  if (method === 8) return inflate(data);
  throw new Error(`zip method ${method} is not supported`);
}
