import { statSync } from 'node:fs';
import { hostPaths, type InstanceSpec } from '@rancher/domain';
import { readIfPresent, sha256 } from '../files.ts';

interface Watched {
  path: string;
  state: string;
  /** Undefined for programs: too large to read, so any change of one counts. */
  digest: string | undefined;
}

/**
 * The files that a running instance stands on: when one vanishes or changes by somebody else's hand, that is said before
 * it hurts at the next start. Looked at by time of change and size; read only when these changed.
 */
export class Drift {
  #watched: Watched[] = [];
  readonly #spec: InstanceSpec;

  constructor(spec: InstanceSpec) {
    this.#spec = spec;
    this.rebase();
  }

  /** Takes the files as they are for right: after a start, and after certificates were renewed. */
  rebase(): void {
    const { files, secrets, certificates } = this.#spec;
    const delivered = [
      ...files.map((f) => f.path),
      ...secrets.map((s) => s.path),
      ...certificates.flatMap((c) => [c.certPath, c.keyPath, c.caPath]),
    ];
    this.#watched = [
      ...[...new Set(delivered)].map((path) => ({ path, state: stateOf(path), digest: digestOf(path) })),
      ...programs(this.#spec).map((path) => ({ path, state: stateOf(path), digest: undefined })),
    ];
  }

  /** The first thing that is wrong, in words; undefined when all is as it was. */
  look(): string | undefined {
    for (const watched of this.#watched) {
      const state = stateOf(watched.path);
      if (state === '') return `${watched.path} is missing`;
      if (state === watched.state) continue;
      if (watched.digest === undefined || digestOf(watched.path) !== watched.digest) {
        return `${watched.path} was changed`;
      }
      watched.state = state;
    }
    return undefined;
  }
}

/** The program, and what else of an artifact the command names, such as in the script that starts it. */
function programs({ command }: InstanceSpec): string[] {
  const named = command.join(' ').match(new RegExp(`${hostPaths.artifacts}/[^\\s"']+`, 'g')) ?? [];
  return [...new Set([command[0]!, ...named])].filter(
    (path) => !statSync(path, { throwIfNoEntry: false })?.isDirectory(),
  );
}

function stateOf(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? '' : `${stat.size} ${stat.mtimeMs} ${stat.ino}`;
}

function digestOf(path: string): string | undefined {
  const content = readIfPresent(path);
  return content === undefined ? undefined : sha256(content);
}
