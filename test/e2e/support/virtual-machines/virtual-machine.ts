/**
 * Whole Linux machines, with a kernel, a clock and an init system of their own, by QEMU's software emulation: what network
 * namespaces cannot stand for. About ten times slower than this machine, so a scenario has few of them.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { sharedCacheDir } from '@rancher/artifacts';
import { must, type Result, run, until } from '../installation.ts';
import type { TestNetwork } from '../machines.ts';
import { ensurePackages } from '../packages.ts';
import { type Disk, ensureDisk, type InitSystem } from './disk.ts';

export interface VirtualMachine {
  name: string;
  address: string;
  /** Runs a command in it as root. */
  sh(script: string, options?: { timeoutMs?: number }): Promise<Result>;
  /** Runs it and throws with its output when it fails. */
  must(script: string, options?: { timeoutMs?: number }): Promise<string>;
  /** Copies a file of this machine there. */
  put(file: string, to: string): Promise<void>;
  /** Its own init ends everything and starts it anew; gives when it answers again. */
  reboot(): Promise<void>;
  powerOff(): Promise<void>;
}

const bootsWithinMs = 300_000;

/** Starts a machine on that network, with a copy of the disk of its init system. */
export async function startVirtualMachine(
  network: TestNetwork,
  name: string,
  init: InitSystem,
): Promise<VirtualMachine> {
  await ensurePackages(['qemu-system-x86', 'qemu-utils']);
  const disk = await ensureDisk(init, join(sharedCacheDir(), 'images'));
  const { address, number, link } = network.place();
  const dir = join(network.dir, name);
  await mkdir(dir);
  const own = join(dir, 'disk.qcow2');
  await must('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', disk.image, '-F', 'raw', own]);
  await must('ip', ['tuntap', 'add', link, 'mode', 'tap']);
  await must('ip', ['link', 'set', link, 'master', network.bridge, 'up']);
  const words = [`test.name=${name}`, `test.address=${address}`, `test.gateway=${network.address}`];
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...qemu(disk, own, link, number, words)], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const powerOff = async () => {
    if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL'))
      await once(child, 'exit');
    await run('ip', ['link', 'delete', link]);
    await rm(dir, { recursive: true, force: true });
  };
  network.adopt({ powerOff });
  const machine = machineOf({ name, address, key: disk.key, powerOff });
  await until(`machine ${name} is up`, () => isUp(machine), bootsWithinMs, 1000);
  return machine;
}

function qemu(disk: Disk, own: string, link: string, number: number, words: readonly string[]): string[] {
  const mac = `52:54:00:00:00:${number.toString(16).padStart(2, '0')}`;
  const kernelWords = ['root=/dev/vda', 'rw', 'console=ttyS0', 'net.ifnames=0', 'init=/sbin/first-process'];
  return [
    ...['qemu-system-x86_64', '-machine', 'q35', '-accel', 'tcg,thread=multi', '-cpu', 'max'],
    ...['-smp', '2', '-m', '3072', '-display', 'none', '-serial', `file:${own}.console`],
    ...['-kernel', disk.kernel, '-initrd', disk.initrd, '-append', [...kernelWords, ...words].join(' ')],
    // Nothing of it is to outlive this machine.
    ...['-drive', `file=${own},if=virtio,format=qcow2,cache=unsafe`],
    ...['-netdev', `tap,id=net,ifname=${link},script=no,downscript=no`],
    ...['-device', `virtio-net-pci,netdev=net,mac=${mac}`, '-device', 'virtio-rng-pci'],
  ];
}

async function isUp(machine: VirtualMachine): Promise<boolean> {
  return (await machine.sh('true', { timeoutMs: 20_000 })).code === 0;
}

interface Wish {
  name: string;
  address: string;
  key: string;
  powerOff(): Promise<void>;
}

function machineOf({ name, address, key, powerOff }: Wish): VirtualMachine {
  const options = [
    'StrictHostKeyChecking=no',
    'UserKnownHostsFile=/dev/null',
    'LogLevel=ERROR',
    'ConnectTimeout=5',
  ];
  const ssh = ['-i', key, ...options.flatMap((option) => ['-o', option])];
  const machine: VirtualMachine = {
    name,
    address,
    sh: (script, wish = {}) => run('ssh', [...ssh, `root@${address}`, script], wish),
    async must(script, wish) {
      const { code, stdout, stderr } = await machine.sh(script, wish);
      if (code !== 0) throw new Error(`${name}: ${script} → ${code}\n${stdout}\n${stderr}`);
      return stdout;
    },
    put: async (file, to) => {
      await must('scp', ['-q', ...ssh, file, `root@${address}:${to}`]);
    },
    async reboot() {
      const bootId = () => machine.must('cat /proc/sys/kernel/random/boot_id', { timeoutMs: 20_000 });
      const before = await bootId();
      await machine.sh('reboot');
      await until(
        `machine ${name} is up again`,
        async () => (await bootId()) !== before,
        bootsWithinMs,
        1000,
      );
    },
    powerOff,
  };
  return machine;
}
