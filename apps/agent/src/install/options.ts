import { parseArgs } from 'node:util';

/** What the command of a registration token says (see the usage of install.sh), with what the script adds. */
export interface InstallOptions {
  server: string;
  caSha256: string;
  /** Folder with the program that is to be put in its place. */
  program: string;
  token?: string;
  name?: string;
  address?: string;
  folder?: string;
  /** TCP ports that what runs on a host listens on. */
  ports: number[];
  labels: Record<string, string>;
}

/** @throws Error naming the option, what was wrong and what would be right */
export function parseInstallOptions(args: string[]): InstallOptions {
  const { values } = parseArgs({
    args,
    strict: true,
    options: {
      server: { type: 'string' },
      'ca-sha256': { type: 'string' },
      program: { type: 'string' },
      token: { type: 'string' },
      name: { type: 'string' },
      address: { type: 'string' },
      folder: { type: 'string' },
      ports: { type: 'string', default: '' },
      label: { type: 'string', multiple: true },
    },
  });
  const { server, program, 'ca-sha256': caSha256 } = values;
  if (server === undefined || program === undefined || caSha256 === undefined) {
    throw new Error('--server, --ca-sha256 and --program are given by install.sh: run that');
  }
  const { token, name, address, folder } = values;
  return {
    server,
    caSha256,
    program,
    ...(token === undefined ? {} : { token }),
    ...(name === undefined ? {} : { name }),
    ...(address === undefined ? {} : { address: checkedAddress(address) }),
    ...(folder === undefined ? {} : { folder: checkedFolder(folder) }),
    ports: values.ports.split(',').filter(Boolean).map(Number),
    labels: labelsOf(values.label ?? []),
  };
}

function labelsOf(texts: string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf('=');
      if (at < 1) throw new Error(`--label is "${text}": it must be KEY=VALUE, such as rack=r1`);
      return [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}

function checkedAddress(address: string): string {
  if (/^\d+\.\d+\.\d+\.\d+$/.test(address)) return address;
  throw new Error(`--address is "${address}": it must be an IPv4 address of this machine`);
}

function checkedFolder(folder: string): string {
  if (folder.startsWith('/')) return folder.replace(/(?<=.)\/+$/, '');
  throw new Error(`--folder is "${folder}": it must be an absolute path`);
}
