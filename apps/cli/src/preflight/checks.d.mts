/** What the preflight knows of a machine; gathered by facts.mjs, given by hand in tests. */
export interface Facts {
  platform: string;
  arch: string;
  uid: number;
  nodeVersion: string;
  home: string;
  cache: string;
  /** Ports that the server will listen on, and who holds them; null = free. */
  ports: { port: number; variable: string; takenBy: string | null }[];
  /** Kernel features by name: true, false, or null where this machine has no program to find out with. */
  features: Record<FeatureName, boolean | null>;
  cgroups: { version: 1 | 2 | null; missing: string[]; writable: boolean };
  /** Path of each program that hosts need; null = missing. */
  programs: Record<string, string | null>;
  aptGet: boolean;
  disk: { path: string; freeBytes: number; neededBytes: number; variable: string }[];
  /** Type of the file system under `home`, such as `ext4` or `overlay`. */
  homeFileSystem: string;
  /** What lies in `home` that is not ours, where no `up` was ever begun: `down --purge` would delete it. */
  homeStrangers: string[];
}

export type FeatureName = 'namespaces' | 'overlayfs' | 'nf_tables' | 'bridge' | 'veth';

export interface Problem {
  /** What is wrong, by name. */
  what: string;
  /** What would mend it. */
  mend: string;
}

/** Programs that hosts need, and the Debian packages that carry them. */
export const programPackages: Record<string, string>;

/** Every reason why `up` cannot work on a machine of these facts; empty = go. */
export function findProblems(facts: Facts): Problem[];

/** Debian packages that `up` will install: missing programs, where apt-get can. */
export function packagesToInstall(facts: Facts): string[];

export function formatProblems(problems: Problem[]): string;
