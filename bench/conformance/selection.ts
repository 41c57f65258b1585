/** Which specs are run: those that a focus names, without those that `skipped.json` names and says why. */
import { readFile } from 'node:fs/promises';

/** What belongs to Kubernetes' conformance, by the mark in its name. */
export const conformance = '\\[Conformance\\]';

/** Specs that are not run: those whose full name matches `pattern` (as Go and JavaScript both read it). */
export interface Skipped {
  pattern: string;
  why: string;
}

/** Reads a list of specs that are not run. Throws an Error naming the entry that lacks a reason or is no pattern. */
export function parseSkipped(text: string): Skipped[] {
  const entries = JSON.parse(text) as Partial<Skipped>[];
  return entries.map(({ pattern, why }, index) => {
    if (typeof pattern !== 'string' || typeof why !== 'string' || why.trim() === '')
      throw new Error(`skipped.json: entry ${index} wants a "pattern" and the reason, "why"`);
    new RegExp(pattern);
    return { pattern, why };
  });
}

export async function readSkipped(): Promise<Skipped[]> {
  return parseSkipped(await readFile(new URL('skipped.json', import.meta.url), 'utf8'));
}

/** The reason why a spec is not run; undefined where it is. */
export function whySkipped(name: string, skipped: readonly Skipped[]): string | undefined {
  return skipped.find(({ pattern }) => new RegExp(pattern).test(name))?.why;
}

/** The flags by which Ginkgo selects the same specs. */
export function selectionFlags(focus: string, skipped: readonly Skipped[]): string[] {
  return [`--focus=${focus}`, ...skipped.map(({ pattern }) => `--skip=${pattern}`)];
}
