import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readJson } from '../files.ts';
import type { PodIdentity } from './tree.ts';

/** The part of what the CNI daemon keeps of an attachment that is looked at. */
interface Attachment {
  args: string;
  result?: { ips?: { address: string }[] };
}

/** The pods of this host by address, from what the CNI daemon keeps on disk. Files that were read once are not read again. */
export class Pods {
  readonly #folder: string;
  readonly #byFile = new Map<string, PodIdentity | undefined>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  at(ip: string): PodIdentity | undefined {
    const files = this.#files();
    for (const known of this.#byFile.keys()) if (!files.includes(known)) this.#byFile.delete(known);
    for (const file of files) {
      if (this.#byFile.get(file) === undefined)
        this.#byFile.set(file, podOf(readJson(join(this.#folder, file))));
    }
    return [...this.#byFile.values()].find((pod) => pod?.ip === ip);
  }

  #files(): string[] {
    try {
      return readdirSync(this.#folder).filter((name) => name.endsWith('.json'));
    } catch {
      return [];
    }
  }
}

/** Who an attachment is of, by the arguments that kubelet's runtime gives to CNI plugins. Undefined until it has an address. */
export function podOf(attachment: Attachment | undefined): PodIdentity | undefined {
  const ip = attachment?.result?.ips?.[0]?.address.split('/')[0];
  if (attachment === undefined || ip === undefined) return undefined;
  const args = new Map(
    attachment.args.split(';').map((arg): [string, string] => {
      const at = arg.indexOf('=');
      return [arg.slice(0, at), arg.slice(at + 1)];
    }),
  );
  const [name, namespace] = [args.get('K8S_POD_NAME'), args.get('K8S_POD_NAMESPACE')];
  if (name === undefined || namespace === undefined) return undefined;
  return { ip, name, namespace, uid: args.get('K8S_POD_UID') ?? '' };
}
