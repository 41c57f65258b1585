import { type ArtifactRef, artifactPath } from './spec.ts';

/** Our own programs that hosts run. Each is one file, made by `scripts/build.ts`, run by `hostPaths.node`. */
export const hostPrograms = ['agent', 'cni', 'dns'] as const;
export type HostProgram = (typeof hostPrograms)[number];

/**
 * Versions of the host programs that this process was bundled with. `scripts/build.ts` puts them in place of the name;
 * what runs from source has none, unless it sets them itself.
 */
declare global {
  var rancherProgramVersions: Partial<Record<HostProgram, string>> | undefined;
}

/**
 * The artifact of a host program. Its version holds a hash of the program, so that a new build makes new specs, and
 * running instances are replaced as in any other upgrade. `unbuilt` where this process runs from source.
 */
export function programArtifact(program: HostProgram): ArtifactRef {
  return { name: `rancher-${program}`, version: globalThis.rancherProgramVersions?.[program] ?? 'unbuilt' };
}

/** Name of the one file of a host program's artifact. */
export function programFile(program: HostProgram): string {
  return `${program}.mjs`;
}

/** Absolute path of a host program on a host. */
export function programPath(program: HostProgram): string {
  return artifactPath(programArtifact(program), programFile(program));
}
