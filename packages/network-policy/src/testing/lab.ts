/**
 * A host and its pods as network namespaces of the test, joined as the CNI plugin joins them: a veth pair and a route for
 * each pod. `close` removes all of it.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

const run = promisify(execFile);
const program = new URL('endpoint.mjs', import.meta.url).pathname;
export const gateway = '169.254.1.1';

export interface Endpoint {
  /** The answer `<name>|<address that the other side saw>`; null: none came. */
  ask(address: string, port: number, protocol?: 'TCP' | 'UDP', waitMs?: number): Promise<string | null>;
  /** Opens a connection, and keeps it. */
  hold(address: string, port: number): Promise<void>;
  /** The answer on the connection that is held; null: none came. */
  say(waitMs?: number): Promise<string | null>;
}

export interface Lab {
  /** Words that lead into the host's namespace. */
  enter: string[];
  host: Endpoint;
  /** Runs a command in the host's namespace. */
  onHost(command: string, ...args: string[]): Promise<string>;
  /** A new pod that serves: `TCP/80`, `UDP/53`. */
  pod(name: string, address: string, ...listen: string[]): Promise<Endpoint>;
  close(): Promise<void>;
}

/** `addresses`: the host's own. */
export async function createLab(addresses: string[], ...listen: string[]): Promise<Lab> {
  const prefix = `np${process.pid.toString(36)}${Math.floor(Math.random() * 1e6).toString(36)}`;
  const made: string[] = [];
  const children: ChildProcess[] = [];
  const hostName = `${prefix}h`;
  let count = 0;
  const enter = (name: string) => ['nsenter', `--net=/run/netns/${name}`];
  const inside = async (name: string, ...command: string[]) => {
    const [first, ...rest] = [...enter(name), ...command] as [string, ...string[]];
    return (await run(first, rest)).stdout;
  };
  const create = async (name: string) => {
    await run('ip', ['netns', 'add', name]);
    made.push(name);
    await inside(name, 'ip', 'link', 'set', 'lo', 'up');
  };
  const start = (name: string, own: string, ports: string[]) => {
    const [first, ...rest] = [...enter(name), process.execPath, program, own, ...ports] as [
      string,
      ...string[],
    ];
    const child = spawn(first, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
    children.push(child);
    return endpointOf(child);
  };
  const close = async () => {
    for (const child of children) child.kill('SIGKILL');
    for (const name of made) await run('ip', ['netns', 'del', name]).catch(() => {});
  };
  try {
    await create(hostName);
    for (const address of addresses)
      await inside(hostName, 'ip', 'address', 'add', `${address}/32`, 'dev', 'lo');
    await inside(hostName, 'sh', '-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward');
    const host = await start(hostName, 'host', listen);
    return {
      enter: enter(hostName),
      host,
      onHost: (...command) => inside(hostName, ...command),
      async pod(name, address, ...ports) {
        count += 1;
        const [own, veth] = [`${prefix}p${count}`, `v${count}`];
        await create(own);
        await inside(
          hostName,
          'ip',
          'link',
          'add',
          veth,
          'type',
          'veth',
          'peer',
          'name',
          'eth0',
          'netns',
          own,
        );
        await inside(hostName, 'ip', 'address', 'add', `${gateway}/32`, 'dev', veth);
        await inside(hostName, 'ip', 'link', 'set', veth, 'up');
        await inside(own, 'ip', 'address', 'add', `${address}/32`, 'dev', 'eth0');
        await inside(own, 'ip', 'link', 'set', 'eth0', 'up');
        await inside(own, 'ip', 'route', 'add', gateway, 'dev', 'eth0');
        await inside(own, 'ip', 'route', 'add', 'default', 'via', gateway);
        await inside(hostName, 'ip', 'route', 'add', address, 'dev', veth);
        return start(own, name, ports);
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Resolves when it serves. */
async function endpointOf(child: ChildProcess): Promise<Endpoint> {
  const waiting = new Map<string, (answer: string | null) => void>();
  const ready = new Promise<void>((resolve, reject) => {
    waiting.set('ready', () => resolve());
    child.once('error', reject).once('exit', () => reject(new Error('an endpoint ended')));
  });
  createInterface({ input: child.stdout! }).on('line', (line) => {
    const { id, answer } = JSON.parse(line) as { id: string; answer?: string | null };
    waiting.get(id)?.(answer ?? null);
    waiting.delete(id);
  });
  let count = 0;
  const call = (command: object) =>
    new Promise<string | null>((resolve) => {
      const id = String(count++);
      waiting.set(id, resolve);
      child.stdin!.write(`${JSON.stringify({ id, ...command })}\n`);
    });
  await ready;
  return {
    ask: (address, port, protocol = 'TCP', waitMs = 20_000) =>
      call({ ask: { address, port, protocol, waitMs } }),
    hold: async (address, port) => void (await call({ hold: { address, port } })),
    say: (waitMs = 20_000) => call({ say: waitMs }),
  };
}
