import { cgroupHierarchies } from '@rancher/runtimes';
import { hasProgram } from '../facts.ts';
import { run, tryRun } from '../run.ts';

export interface PreflightResult {
  name: string;
  ok: boolean;
  message: string;
  /** What would mend it. */
  remedy?: string;
}

/** Whether this machine can have local hosts, thing by thing, without changing anything that stays. */
export async function preflightLocalHosts(): Promise<PreflightResult[]> {
  const results = [root(), ...programs(), cgroups()];
  if (results.some((r) => !r.ok)) return results;
  return [...results, await namespaces(), await bridges(), await masquerade(), await overlay()];
}

function root(): PreflightResult {
  const ok = process.getuid?.() === 0;
  return result('root', ok, ok ? 'running as root' : 'not running as root', 'run it with sudo');
}

function programs(): PreflightResult[] {
  const packages = {
    ip: 'iproute2',
    nft: 'nftables',
    nsenter: 'util-linux',
    unshare: 'util-linux',
    mount: 'mount',
  };
  return Object.entries(packages).map(([program, name]) => {
    const ok = hasProgram(program);
    return result(program, ok, ok ? 'found' : 'not found', `install the package ${name}`);
  });
}

function cgroups(): PreflightResult {
  try {
    return result('cgroups', true, `version ${cgroupHierarchies().version}`);
  } catch (error) {
    return result('cgroups', false, (error as Error).message, 'mount -t cgroup2 cgroup2 /sys/fs/cgroup');
  }
}

async function namespaces(): Promise<PreflightResult> {
  const ok = await tryRun('unshare', ['--net', '--mount', '--uts', '--ipc', 'true']);
  const message = ok ? 'can be made' : 'network, mount, UTS or IPC namespaces cannot be made';
  return result(
    'namespaces',
    ok,
    message,
    'use a kernel with CONFIG_NET_NS, CONFIG_UTS_NS and CONFIG_IPC_NS',
  );
}

/** Tried in a network namespace of its own, which goes with the program. */
async function bridges(): Promise<PreflightResult> {
  const script = 'ip link add name bridge0 type bridge && ip link add name veth0 type veth peer name veth1';
  const ok = await tryRun('unshare', ['--net', 'sh', '-c', script]);
  const message = ok ? 'can be made' : 'a bridge or a veth pair cannot be made';
  return result('bridge', ok, message, 'use a kernel with CONFIG_BRIDGE and CONFIG_VETH');
}

async function masquerade(): Promise<PreflightResult> {
  const rules = 'table ip t {\n chain c {\n type nat hook postrouting priority srcnat;\n masquerade\n }\n}\n';
  const ok = await run('unshare', ['--net', 'nft', '-f', '-'], rules).then(
    () => true,
    () => false,
  );
  const message = ok ? 'works' : 'nftables cannot masquerade';
  return result('masquerade', ok, message, 'use a kernel with CONFIG_NF_TABLES and CONFIG_NFT_MASQ');
}

async function overlay(): Promise<PreflightResult> {
  const ok = await tryRun('grep', ['-qw', 'overlay', '/proc/filesystems']);
  const loaded = ok || (await tryRun('modprobe', ['overlay']));
  return result('overlay', loaded, loaded ? 'works' : 'no overlay file system', 'modprobe overlay');
}

function result(name: string, ok: boolean, message: string, remedy?: string): PreflightResult {
  return { name, ok, message, ...(ok || remedy === undefined ? {} : { remedy }) };
}
