import { readdirSync, readlinkSync } from 'node:fs';
import { cgroupProcsFiles } from '@rancher/runtimes';
import { readIfPresent } from '../files.ts';

/**
 * The inode of the socket of a connection from an address and port of this host, out of /proc/net/tcp: there addresses
 * are in hexadecimal, in the byte order of the machine (little-endian on all that we run on).
 */
export function inodeOf(table: string, address: string, port: number): string | undefined {
  const bytes = address.split('.').map((byte) => Number(byte).toString(16).padStart(2, '0'));
  const local = `${bytes.reverse().join('')}:${port.toString(16).padStart(4, '0')}`.toUpperCase();
  const line = table
    .split('\n')
    .map((l) => l.trim().split(/\s+/))
    .find((fields) => fields[1] === local && fields[3] === '01');
  return line?.[9];
}

/** Which of these services, each in a cgroup of its own below the host's, holds a socket. */
export function holderOf(inode: string, cgroup: string, services: readonly string[]): string | undefined {
  return services.find((service) => pidsOf(`${cgroup}/${service}`).some((pid) => holds(pid, inode)));
}

function pidsOf(cgroup: string): string[] {
  const [file] = cgroupProcsFiles(cgroup);
  const text = file === undefined ? undefined : readIfPresent(file);
  return text?.split('\n').filter((pid) => pid !== '') ?? [];
}

function holds(pid: string, inode: string): boolean {
  const folder = `/proc/${pid}/fd`;
  try {
    return readdirSync(folder).some((fd) => linkOf(`${folder}/${fd}`) === `socket:[${inode}]`);
  } catch {
    return false;
  }
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
