/** One call of a container runtime, and its answer: CNI specification 1.1, section 2. */
export interface Call {
  command: string;
  containerId: string;
  netns: string;
  ifname: string;
  /** CNI_ARGS, handed on to the reference plugins as it came. */
  args: string;
  config: NetworkConfig;
}

export interface NetworkConfig {
  cniVersion: string;
  name: string;
  type: string;
  prevResult?: unknown;
  runtimeConfig?: { portMappings?: unknown[]; bandwidth?: Record<string, number> };
  'cni.dev/valid-attachments'?: { containerID: string; ifname: string }[];
  [field: string]: unknown;
}

/** Error codes of the specification, and ours from 100 on. */
export const codes = {
  incompatibleVersion: 1,
  unknownContainer: 3,
  invalidEnvironment: 4,
  io: 5,
  invalidJson: 6,
  invalidConfig: 7,
  tryAgain: 11,
  notAvailable: 50,
  internal: 100,
} as const;

export class CniError extends Error {
  readonly code: number;
  readonly details: string;

  constructor(code: number, message: string, details = '') {
    super(message);
    this.name = 'CniError';
    this.code = code;
    this.details = details;
  }
}

export const supportedVersions: readonly string[] = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'];

/**
 * Reads a call as the front sends it: `CNI_*` variables, each ended by a zero byte, one more zero byte, then the network
 * configuration.
 * @throws CniError when a variable or the configuration is not as the specification wants it.
 */
export function parseCall(data: Buffer): Call {
  const end = data.indexOf('\0\0');
  const head = end === -1 ? '' : data.subarray(0, end).toString();
  const body = data.subarray(end === -1 ? data.indexOf(0) + 1 : end + 2).toString();
  const variables = Object.fromEntries(head.split('\0').map((line) => splitAt(line, line.indexOf('='))));
  const call: Call = {
    command: variables.CNI_COMMAND ?? '',
    containerId: variables.CNI_CONTAINERID ?? '',
    netns: variables.CNI_NETNS ?? '',
    ifname: variables.CNI_IFNAME ?? '',
    args: variables.CNI_ARGS ?? '',
    config: parseConfig(body),
  };
  checkVariables(call);
  return call;
}

const splitAt = (text: string, at: number): [string, string] => [text.slice(0, at), text.slice(at + 1)];

function parseConfig(text: string): NetworkConfig {
  let config: Partial<NetworkConfig>;
  try {
    config = JSON.parse(text) as Partial<NetworkConfig>;
  } catch (error) {
    throw new CniError(codes.invalidJson, 'the network configuration is not JSON', String(error));
  }
  if (typeof config !== 'object' || config === null || typeof config.name !== 'string' || config.name === '')
    throw new CniError(codes.invalidConfig, 'the network configuration has no name');
  if (!supportedVersions.includes(config.cniVersion ?? ''))
    throw new CniError(
      codes.incompatibleVersion,
      `cniVersion ${config.cniVersion} is not supported; ${supportedVersions.join(', ')} are`,
    );
  return config as NetworkConfig;
}

/** Which variables a command needs; what runs without any is not named. */
const needed: Record<string, ('containerId' | 'ifname' | 'netns')[]> = {
  ADD: ['containerId', 'ifname', 'netns'],
  CHECK: ['containerId', 'ifname', 'netns'],
  DEL: ['containerId', 'ifname'],
  GC: [],
  STATUS: [],
};
const variableOf = { containerId: 'CNI_CONTAINERID', ifname: 'CNI_IFNAME', netns: 'CNI_NETNS' } as const;

/** The specification's own rules; both become names of files. */
const containerIdPattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,200}$/;
const ifnamePattern = /^(?!\.{1,2}$)[^/:\s]{1,15}$/;

function checkVariables(call: Call): void {
  const wanted = needed[call.command];
  if (wanted === undefined)
    throw new CniError(
      codes.invalidEnvironment,
      `CNI_COMMAND is "${call.command}"; one of ${Object.keys(needed).join(', ')} is known`,
    );
  for (const field of wanted) {
    if (call[field] === '')
      throw new CniError(codes.invalidEnvironment, `${call.command} needs ${variableOf[field]}`);
  }
  if (wanted.includes('containerId') && !containerIdPattern.test(call.containerId))
    throw new CniError(codes.invalidEnvironment, `CNI_CONTAINERID "${call.containerId}" is no container id`);
  if (wanted.includes('ifname') && !ifnamePattern.test(call.ifname))
    throw new CniError(
      codes.invalidEnvironment,
      `CNI_IFNAME "${call.ifname}" is no interface name of at most 15 characters`,
    );
}

/** The answer as the front reads it: exit code, newline, standard output. */
export function formatResult(output: string): string {
  return `0\n${output}`;
}

export function formatError(error: unknown, cniVersion = '1.1.0'): string {
  const { code, message, details } =
    error instanceof CniError ? error : new CniError(codes.internal, String(error));
  return `1\n${JSON.stringify({ cniVersion, code, msg: message, ...(details === '' ? {} : { details }) })}\n`;
}
