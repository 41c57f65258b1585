/**
 * Faults of the world around local hosts: networks cut, disks that fill up. All are made on the machine, beside the
 * hosts and not in them, so that nothing of a host can mend them; each is healed alone or all together.
 *
 * Clocks: a process can be given another monotonic and boot clock (time namespaces), but no other wall clock, and
 * programs of Go read the kernel's clock without a library that could be put before it. So a clock is skewed on a machine
 * with a kernel of its own (virtual-machines/).
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Installation, run } from './installation.ts';

export interface Fault {
  /** Undoes it. Healing twice does nothing. */
  heal(): Promise<void>;
}

export interface Faults {
  /** Between a host and the server (and all else of the machine itself), in both directions; hosts reach each other. */
  cutFromServer(host: string): Promise<Fault>;
  /** Between two hosts, their pods too, in both directions; both reach the server and the others. */
  cutBetween(one: string, other: string): Promise<Fault>;
  /** A host's wire: nothing goes in or out, not even ARP. */
  cutOff(host: string): Promise<Fault>;
  /**
   * Puts what a host has below a folder on a disk of its own of that size, and stops nothing: a process that has files
   * open there goes on with the old ones until it is started again.
   */
  smallDisk(host: string, folder: string, megabytes: number): Promise<SmallDisk>;
  /** Heals whatever is left; for `afterAll`. */
  healAll(): Promise<void>;
}

export interface SmallDisk extends Fault {
  /** Writes until nothing more fits. */
  fill(): Promise<void>;
  /** Gives the room back. */
  free(): Promise<void>;
}

interface Wire {
  name: string;
  address: string;
  /** The machine's end of the host's cable. */
  veth: string;
  /** What the cable is plugged in to. */
  bridge: string;
  pid: number;
}

interface LocalHostRecord {
  name: string;
  address: string;
  init?: { pid: number };
}

/** Everything of one test's faults carries its installation's id, so that two tests do not heal each other's. */
export function createFaults(installation: Installation): Faults {
  const id = createHash('sha256').update(installation.home).digest('hex').slice(0, 8);
  const open = new Set<Fault>();
  let count = 0;

  const remember = <T extends Fault>(fault: T): T => {
    const { heal } = fault;
    const once = {
      ...fault,
      async heal() {
        if (open.delete(once)) await heal();
      },
    };
    open.add(once);
    return once;
  };

  /**
   * Rules in a table of their own. Each names a link of the installation: an address alone would be another's next time,
   * when a test is killed and leaves its rules behind.
   */
  async function cut(family: 'bridge' | 'inet', chains: string): Promise<() => Promise<void>> {
    count += 1;
    const table = `${family} rancher_fault_${id}_${count}`;
    await must('nft', ['-f', '-'], `table ${table} {\n${chains}\n}\n`);
    return () => must('nft', ['delete', 'table', ...table.split(' ')]);
  }

  return {
    async cutFromServer(host) {
      const { address, bridge } = await wireOf(installation, host);
      return remember({
        heal: await cut(
          'inet',
          chain('input', 'input', -300, `iifname "${bridge}" ip saddr ${address} drop`) +
            chain('output', 'output', -300, `oifname "${bridge}" ip daddr ${address} drop`),
        ),
      });
    },
    async cutBetween(one, other) {
      const [a, b] = [await wireOf(installation, one), await wireOf(installation, other)];
      // On one bridge it is the cables that tell them apart, whatever pod's address a frame carries; between bridges, the
      // hosts' own addresses, as pods' traffic is wrapped there.
      const bridged = await cut(
        'bridge',
        chain(
          'forward',
          'forward',
          -300,
          `iifname "${a.veth}" oifname "${b.veth}" drop\niifname "${b.veth}" oifname "${a.veth}" drop`,
        ),
      );
      const routed = await cut(
        'inet',
        chain(
          'forward',
          'forward',
          -300,
          `iifname "${a.bridge}" ip saddr ${a.address} ip daddr ${b.address} drop\niifname "${b.bridge}" ip saddr ${b.address} ip daddr ${a.address} drop`,
        ),
      );
      return remember({
        async heal() {
          await bridged();
          await routed();
        },
      });
    },
    async cutOff(host) {
      const { veth } = await wireOf(installation, host);
      return remember({
        heal: await cut(
          'bridge',
          chain('incoming', 'prerouting', -300, `iifname "${veth}" drop`) +
            chain('outgoing', 'postrouting', 300, `oifname "${veth}" drop`),
        ),
      });
    },
    async smallDisk(host, folder, megabytes) {
      const { pid } = await wireOf(installation, host);
      const inside = (script: string) =>
        must('nsenter', ['-t', String(pid), '-m', 'sh', '-ec', script, 'sh', folder, String(megabytes)]);
      await inside(
        'new="$1.small"; mkdir -p "$new"; mount -n -t tmpfs -o size="$2"m tmpfs "$new"; cp -a "$1/." "$new/"; mount -n --bind "$new" "$1"',
      );
      return remember({
        fill: () => inside('dd if=/dev/zero of="$1/filler" bs=64k 2>/dev/null || :'),
        free: () => inside('rm -f "$1/filler"'),
        // What was written meanwhile is kept.
        heal: () =>
          inside(
            'rm -f "$1/filler"; umount -n -l "$1"; cp -a "$1.small/." "$1/"; umount -n -l "$1.small"; rmdir "$1.small"',
          ),
      });
    },
    async healAll() {
      for (const fault of [...open].reverse()) await fault.heal().catch(() => {});
    },
  };
}

function chain(name: string, hook: string, priority: number, rules: string): string {
  return `chain ${name} {\ntype filter hook ${hook} priority ${priority}; policy accept;\n${rules}\n}\n`;
}

/** Where a host is plugged in, found by its first process's network. */
async function wireOf({ home }: Installation, host: string): Promise<Wire> {
  const records = JSON.parse(await readFile(join(home, 'local-hosts.json'), 'utf8')) as LocalHostRecord[];
  const record = records.find((r) => r.name === host);
  if (record?.init === undefined) throw new Error(`${host} is no local host that runs`);
  const pid = record.init.pid;
  // Of /sys it would see the machine's network: it shows that of whoever mounted it.
  const [eth0] = JSON.parse(
    await out('nsenter', ['-t', String(pid), '-n', 'ip', '-json', 'link', 'show', 'eth0']),
  ) as { link_index: number }[];
  const links = JSON.parse(await out('ip', ['-json', 'link'])) as {
    ifindex: number;
    ifname: string;
    master?: string;
  }[];
  const cable = links.find((l) => l.ifindex === eth0?.link_index);
  if (cable?.master === undefined) throw new Error(`the cable of ${host} is not found`);
  return { name: host, address: record.address, veth: cable.ifname, bridge: cable.master, pid };
}

async function out(command: string, args: string[]): Promise<string> {
  const result = await run(command, args);
  if (result.code !== 0) throw new Error(`${command} ${args.join(' ')}: ${result.stderr}`);
  return result.stdout;
}

async function must(command: string, args: string[], input = ''): Promise<void> {
  const result = await run(command, args, { input });
  if (result.code !== 0) throw new Error(`${command} ${args.join(' ')}: ${result.stderr}`);
}
