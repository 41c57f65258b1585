import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { defaultHostNetwork } from '@rancher/domain';
import {
  cgroupExists,
  cgroupProcsFiles,
  makeCgroup,
  type ProcessIdentity,
  readStat,
  removeCgroup,
} from '@rancher/runtimes';
import { nameservers } from '../facts.ts';
import { readIfPresent, writeFileIfChanged } from '../files.ts';
import { endProcesses } from '../host/end-processes.ts';
import { run, tryRun } from '../run.ts';
import { type Bridge, knownBridge, linkMtu } from './bridge.ts';
import { initScript } from './init-script.ts';
import { hostSuffix, hostsDir, installationCgroup, netnsPrefix, vethPrefix } from './names.ts';
import { knownNetworks } from './networks.ts';
import type { LocalHostRecord } from './records.ts';

/** What of the machine a local host runs on. */
export interface Machine {
  home: string;
  /** The first network, where the API listens for local hosts. */
  bridge: Bridge;
  /** Root of the code, and the agent's entry point relative to it. */
  app: string;
  entry: string;
  artifactsDir: string;
}

export const hostFolder = (home: string, record: LocalHostRecord) => join(hostsDir(home), record.folder);
export const hostCgroup = (home: string, record: LocalHostRecord) =>
  `${installationCgroup(home)}/${record.folder}`;
const agentFolder = (home: string, record: LocalHostRecord) =>
  join(hostFolder(home, record), 'var/lib/rancher-agent');
const bridgeOf = (home: string, record: LocalHostRecord) => knownBridge(home, record.network);
/** Also where the files of its network are gone: then it is cleared up with all that carries the installation's id. */
const suffix = (home: string, { address, network = defaultHostNetwork }: LocalHostRecord) =>
  hostSuffix(address, knownNetworks(home).find(({ name }) => name === network)?.index ?? 0);
const netns = (home: string, record: LocalHostRecord) => `${netnsPrefix(home)}${suffix(home, record)}`;
const veth = (home: string, record: LocalHostRecord) => `${vethPrefix(home)}${suffix(home, record)}`;

/** Whether its agent has exchanged its token for a credential. */
export function hasJoined(home: string, record: LocalHostRecord): boolean {
  return existsSync(join(agentFolder(home, record), 'credential'));
}

/** Writes what the host's agent starts with. */
export function writeAgentConfig(
  machine: Machine,
  record: LocalHostRecord,
  serverUrls: string[],
  caSha256?: string,
): void {
  const config = {
    kind: 'local',
    name: record.name,
    serverUrl: serverUrls.map((url) => reachable(url, machine.bridge.address)),
    ...(caSha256 === undefined ? {} : { caSha256 }),
    tokenFile: '/var/lib/rancher-agent/token',
    stateDir: '/var/lib/rancher-agent',
    runDir: '/run/rancher-agent',
    logFile: '/var/log/rancher-agent.log',
    artifactsDir: '/run/rancher/artifacts',
    address: record.address,
    cgroup: hostCgroup(machine.home, record),
  };
  mkdirSync(agentFolder(machine.home, record), { recursive: true, mode: 0o700 });
  writeFileIfChanged(
    join(agentFolder(machine.home, record), 'config.json'),
    JSON.stringify(config, null, 2),
    0o600,
  );
}

export function writeToken(home: string, record: LocalHostRecord, token: string): void {
  writeFileIfChanged(join(agentFolder(home, record), 'token'), token, 0o600);
}

/** Loopback of the machine is not the host's: there the server is at the bridge's address. */
export function reachable(serverUrl: string, bridgeAddress: string): string {
  const url = new URL(serverUrl);
  if (url.hostname === 'localhost' || url.hostname.startsWith('127.')) url.hostname = bridgeAddress;
  return url.origin;
}

/** Switches a host on: network, folders, cgroup, first process. What is left of an earlier life is removed before. */
export async function powerOn(machine: Machine, record: LocalHostRecord): Promise<ProcessIdentity> {
  await powerCut(machine.home, record);
  writeFiles(machine.home, record);
  makeCgroup(`${hostCgroup(machine.home, record)}/agent`);
  await makeNetwork(machine, record);
  return await startInit(machine, record);
}

/**
 * Cuts a host off as by pulling the plug. The wire goes first, so that no dying process says goodbye to anyone; then every
 * process at once, its pods' too, the network and the cgroup. Its data stays.
 */
export async function powerCut(home: string, record: LocalHostRecord): Promise<void> {
  if (existsSync(`/sys/class/net/${veth(home, record)}`))
    await tryRun('ip', ['link', 'delete', veth(home, record)]);
  const cgroup = hostCgroup(home, record);
  if (cgroupExists(cgroup)) {
    await endProcesses(cgroup, { graceMs: 0 });
    removeCgroup(cgroup);
  }
  if (existsSync(`/run/netns/${netns(home, record)}`))
    await run('ip', ['netns', 'delete', netns(home, record)]);
}

export function isPluggedIn(home: string, record: LocalHostRecord): boolean {
  return existsSync(`/sys/class/net/${veth(home, record)}/master`);
}

/** Plugs a running host into the bridge again, which may have been made anew. */
export async function plugIn(machine: Machine, record: LocalHostRecord): Promise<void> {
  await run('ip', [
    'link',
    'set',
    veth(machine.home, record),
    'master',
    bridgeOf(machine.home, record).link,
    'up',
  ]);
}

function writeFiles(home: string, record: LocalHostRecord): void {
  const folder = hostFolder(home, record);
  for (const path of ['run', 'tmp', 'var/lib', 'var/log', 'etc'])
    mkdirSync(join(folder, path), { recursive: true });
  const { name, address } = record;
  const hosts = `127.0.0.1 localhost\n::1 localhost\n${address} ${name}\n`;
  const servers = nameservers().map((server) => `nameserver ${server}\n`);
  const search = /^(search|options) .*$/gm;
  const others = (readIfPresent('/etc/resolv.conf') ?? '').match(search) ?? [];
  writeInPlace('hosts', hosts);
  writeInPlace('hostname', `${name}\n`);
  writeInPlace('resolv.conf', servers.join('') + others.map((line) => `${line}\n`).join(''));

  function writeInPlace(file: string, content: string): void {
    writeFileIfChanged(join(folder, 'etc', file), content, 0o644);
  }
}

async function makeNetwork({ home }: Machine, record: LocalHostRecord): Promise<void> {
  const bridge = bridgeOf(home, record);
  const [ns, link] = [netns(home, record), veth(home, record)];
  const prefix = bridge.subnet.split('/')[1];
  await run('ip', ['netns', 'add', ns]);
  const outside = [
    `link add ${link} mtu ${linkMtu} type veth peer name eth0 mtu ${linkMtu} netns ${ns}`,
    `link set ${link} master ${bridge.link} up`,
  ];
  await run('ip', ['-batch', '-'], outside.join('\n'));
  const inside = [
    'link set lo up',
    `address add ${record.address}/${prefix} dev eth0`,
    'link set eth0 up',
    `route add default via ${bridge.address}`,
  ];
  await run('ip', ['-n', ns, '-batch', '-'], inside.join('\n'));
}

async function startInit(machine: Machine, record: LocalHostRecord): Promise<ProcessIdentity> {
  const folder = hostFolder(machine.home, record);
  const log = openSync(join(folder, 'var/log/rancher-init.log'), 'w', 0o640);
  const init = spawn(
    'nsenter',
    [
      `--net=/run/netns/${netns(machine.home, record)}`,
      ...['unshare', '--mount', '--uts', '--ipc', '--propagation', 'private'],
      ...['/bin/sh', '-c', initScript, 'rancher-init'],
      ...[folder, record.name, machine.app, machine.entry, process.execPath, machine.artifactsDir],
      ...cgroupProcsFiles(`${hostCgroup(machine.home, record)}/agent`),
    ],
    {
      detached: true,
      cwd: '/',
      // Nothing of the agent's own environment: what it was started with is its own matter.
      env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root' },
      stdio: ['ignore', log, log],
    },
  );
  try {
    await once(init, 'spawn');
  } finally {
    closeSync(log);
  }
  init.unref();
  const pid = init.pid!;
  return { pid, startTime: readStat(pid)?.startTime ?? '0' };
}
