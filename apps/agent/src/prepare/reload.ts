import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import type { InstanceSpec, ReloadSpec } from '@rancher/domain';
import { describe } from '../errors.ts';
import { writeFileIfChanged } from '../files.ts';

/** A process that has only just started may not listen yet (ms). */
const againMs = 100;
const againForMs = 5_000;
const answerWithinMs = 2_000;

/** Writes what may change while the process runs. */
export function writeLiveFiles(spec: InstanceSpec): void {
  for (const file of spec.files) {
    if (file.live === true) writeFileIfChanged(file.path, file.content, file.mode);
  }
}

/**
 * Tells a running process to take up its live files, again until it answers.
 * @param wanted whether it still is to be told
 * @returns in words why it did not take them up; undefined when it did, or need not be told
 */
export async function tellReload(spec: InstanceSpec, wanted: () => boolean): Promise<string | undefined> {
  if (spec.reload === undefined) return undefined;
  const until = Date.now() + againForMs;
  for (;;) {
    if (!wanted()) return undefined;
    try {
      const refusal = await say(spec.reload);
      return refusal === undefined
        ? undefined
        : `${spec.component} does not take up its configuration: ${refusal}`;
    } catch (error) {
      if (Date.now() > until)
        return `${spec.component} cannot be told of its configuration: ${describe(error)}`;
      await delay(againMs);
    }
  }
}

/** The first line of the answer that is a refusal. */
async function say({ socketPath, commands, refused }: ReloadSpec): Promise<string | undefined> {
  const socket = connect(socketPath);
  socket.setTimeout(answerWithinMs, () => socket.destroy(new Error(`no answer on ${socketPath}`)));
  socket.end(`${commands.join('; ')}\n`);
  const pattern = new RegExp(refused);
  return (await text(socket)).split('\n').find((line) => pattern.test(line));
}
