/** Runs `bench/floor` as the process of its own that it is, and reads its JSON. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

interface FloorCreate {
  readyzMs: number;
  nodeReadyMs: number;
  allHealthyMs: number;
}

async function floor<T>(mode: string, samples: number): Promise<T> {
  const script = join(import.meta.dirname, 'floor/floor.ts');
  const args = ['--disable-warning=ExperimentalWarning', script, mode, '--samples', String(samples)];
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    maxBuffer: 16 << 20,
    timeout: 900_000,
  });
  return JSON.parse(stdout) as T;
}

/** One cluster by hand: all programs at once, certificates ready. Milliseconds from the first start. */
export const floorCreate = (): Promise<FloorCreate> => floor<FloorCreate>('create', 1);

/** Bare start of each component in a running cluster, milliseconds until its probe is satisfied. */
export const floorHeal = (samples: number): Promise<{ samples: Record<string, number[]> }> =>
  floor<{ samples: Record<string, number[]> }>('heal', samples);
