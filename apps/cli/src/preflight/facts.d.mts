import type { Facts } from './checks.mjs';

/** What is to be run where; whose processes do not count as strangers on a port. */
export interface FactsInput {
  home: string;
  cache: string;
  ports: { port: number; variable: string }[];
  /** Process ids of this installation: a port they hold is not taken. */
  ours: number[];
}

/** Looks at this machine, changing nothing: kernel features are tried in a throwaway namespace. */
export function gatherFacts(input: FactsInput): Facts;

/** Who listens on a TCP port, such as `nginx (pid 812)`; null = nobody, or one of `ours`. */
export function portHolder(port: number, ours: number[]): string | null;
