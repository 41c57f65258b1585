/**
 * The program of the pause image: the process that holds a pod's namespaces. Twenty instructions, written out here so
 * that no host needs a registry or a compiler to start a pod:
 *
 *     ignore SIGCHLD        the kernel then reaps what is orphaned in the pod's process namespace
 *     block SIGINT, SIGTERM
 *     wait for one of them  again when interrupted
 *     exit 0
 */
const loadAddress = 0x40_0000;
const elfHeaderBytes = 64;
const programHeaderBytes = 56;
const codeOffset = elfHeaderBytes + programHeaderBytes;

const sigchld = 17;
/** Bit n-1 stands for signal n: SIGINT (2), SIGTERM (15). */
const stopSignals = (1n << 1n) | (1n << 14n);
/** struct sigaction of the kernel: handler SIG_IGN, no flags, no restorer, empty mask. */
const ignoreAction = words64([1n, 0n, 0n, 0n]);
const signalSet = words64([stopSignals]);
const signalSetBytes = 8;

/** A static Linux ELF executable of a few hundred bytes. */
export function pauseProgram(arch: 'amd64' | 'arm64'): Buffer {
  const length = codeFor(arch, 0, 0).length;
  const data = Math.ceil((codeOffset + length) / 8) * 8;
  const code = codeFor(arch, data, data + ignoreAction.length);
  const padding = Buffer.alloc(data - codeOffset - length);
  const body = Buffer.concat([code, padding, ignoreAction, signalSet]);
  return Buffer.concat([headers(arch, codeOffset + body.length), body]);
}

function codeFor(arch: 'amd64' | 'arm64', action: number, set: number): Buffer {
  return arch === 'amd64' ? amd64(loadAddress + action, loadAddress + set) : arm64(action, set);
}

function amd64(action: number, set: number): Buffer {
  const syscall = [0x0f, 0x05];
  const start = [
    ...[0xb8, ...word32(13)], // mov eax, rt_sigaction
    ...[0xbf, ...word32(sigchld)], // mov edi, SIGCHLD
    ...[0xbe, ...word32(action)], // mov esi, action
    ...[0x31, 0xd2], // xor edx, edx
    ...[0x41, 0xba, ...word32(signalSetBytes)], // mov r10d, size of a set
    ...syscall,
    ...[0xb8, ...word32(14)], // mov eax, rt_sigprocmask
    ...[0x31, 0xff], // xor edi, edi (SIG_BLOCK)
    ...[0xbe, ...word32(set)], // mov esi, set
    ...syscall,
  ];
  const wait = [
    ...[0xb8, ...word32(128)], // mov eax, rt_sigtimedwait
    ...[0xbf, ...word32(set)], // mov edi, set
    ...[0x31, 0xf6], // xor esi, esi (no details)
    ...[0x31, 0xd2], // xor edx, edx (no timeout)
    ...syscall,
    ...[0x85, 0xc0], // test eax, eax
  ];
  const again = [0x78, 0x100 - (wait.length + 2)]; // js wait
  const exit = [...[0xb8, ...word32(231)], ...[0x31, 0xff], ...syscall]; // exit_group(0)
  return Buffer.from([...start, ...wait, ...again, ...exit]);
}

function arm64(action: number, set: number): Buffer {
  const code: number[] = [];
  const here = () => codeOffset + code.length * 4;
  const mov = (register: number, value: number) => code.push(0xd280_0000 | (value << 5) | register);
  const adr = (register: number, target: number) => {
    const offset = target - here();
    code.push(0x1000_0000 | ((offset & 3) << 29) | (((offset >> 2) & 0x7_ffff) << 5) | register);
  };
  const syscall = (number: number) => {
    mov(8, number);
    code.push(0xd400_0001); // svc #0
  };
  mov(0, sigchld);
  adr(1, action);
  mov(2, 0);
  mov(3, signalSetBytes);
  syscall(134); // rt_sigaction
  mov(0, 0); // SIG_BLOCK
  adr(1, set);
  syscall(135); // rt_sigprocmask
  const wait = here();
  adr(0, set);
  mov(1, 0);
  mov(2, 0);
  syscall(137); // rt_sigtimedwait
  code.push(0xb7f8_0000 | ((((wait - here()) >> 2) & 0x3fff) << 5)); // tbnz x0, #63, wait: a negative result
  mov(0, 0);
  syscall(94); // exit_group
  return Buffer.from(code.flatMap((instruction) => word32(instruction)));
}

/** ELF header and the one segment, readable and executable, that maps the whole file. */
function headers(arch: 'amd64' | 'arm64', bodyEnd: number): Buffer {
  const machine = arch === 'amd64' ? 62 : 183;
  const elf = Buffer.alloc(elfHeaderBytes);
  elf.write('\x7fELF\x02\x01\x01', 'latin1'); // 64 bits, little endian, version 1
  elf.writeUInt16LE(2, 16); // an executable
  elf.writeUInt16LE(machine, 18);
  elf.writeUInt32LE(1, 20);
  elf.writeBigUInt64LE(BigInt(loadAddress + codeOffset), 24); // entry
  elf.writeBigUInt64LE(BigInt(elfHeaderBytes), 32); // program headers
  elf.writeUInt16LE(elfHeaderBytes, 52);
  elf.writeUInt16LE(programHeaderBytes, 54);
  elf.writeUInt16LE(1, 56);
  const segment = Buffer.alloc(programHeaderBytes);
  segment.writeUInt32LE(1, 0); // PT_LOAD
  segment.writeUInt32LE(5, 4); // readable, executable
  segment.writeBigUInt64LE(BigInt(loadAddress), 16);
  segment.writeBigUInt64LE(BigInt(loadAddress), 24);
  segment.writeBigUInt64LE(BigInt(bodyEnd), 32);
  segment.writeBigUInt64LE(BigInt(bodyEnd), 40);
  segment.writeBigUInt64LE(0x1_0000n, 48); // aligned to the largest page of arm64
  return Buffer.concat([elf, segment]);
}

function word32(value: number): number[] {
  return [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, (value >>> 24) & 0xff];
}

function words64(values: bigint[]): Buffer {
  const buffer = Buffer.alloc(values.length * 8);
  values.forEach((value, i) => {
    buffer.writeBigUInt64LE(value, i * 8);
  });
  return buffer;
}
