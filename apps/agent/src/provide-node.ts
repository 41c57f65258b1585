import { lstatSync, mkdirSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { hostPaths } from '@rancher/domain';

/**
 * Makes the Node that runs this agent be where specs of our own programs name it. On a local host it is there already:
 * its first process bound the machine's Node to that path.
 */
export function provideNode(path: string = hostPaths.node, node: string = process.execPath): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found !== undefined && (!found.isSymbolicLink() || readlinkSync(path) === node)) return;
  mkdirSync(dirname(path), { recursive: true });
  rmSync(path, { force: true });
  symlinkSync(node, path);
}
