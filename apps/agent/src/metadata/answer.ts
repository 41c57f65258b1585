import type { Tree } from './tree.ts';

/** Versions of the tree's shape: a dated one stays as it is, `latest` is the newest. */
export const treeVersions = ['2026-11-24', 'latest'];

export interface Answer {
  status: 200 | 404;
  type: 'application/json' | 'text/plain; charset=utf-8';
  body: string;
}

/**
 * Answers a path as Rancher 1.x did. As text: a value by itself; of a folder its entries a line each, those that are
 * folders with a slash behind; of a list `0=name`, or `0`. As JSON: all that is below. An entry of a list is found by its
 * number or by its name.
 */
export function answerTo(path: string, json: boolean, tree: { [key: string]: Tree }): Answer {
  const segments = segmentsOf(path);
  const found = segments === undefined ? undefined : find(rootOf(tree), segments);
  if (found === undefined) return answer(404, json, json ? { error: 'Not found' } : 'Not found\n');
  return answer(200, json, json ? found : text(found));
}

function answer(status: Answer['status'], json: boolean, body: Tree): Answer {
  return json
    ? { status, type: 'application/json', body: JSON.stringify(body) }
    : { status, type: 'text/plain; charset=utf-8', body: body as string };
}

const rootOf = (tree: { [key: string]: Tree }) => Object.fromEntries(treeVersions.map((v) => [v, tree]));

/** Undefined for what is not a path. */
export function segmentsOf(path: string): string[] | undefined {
  try {
    return path
      .split('/')
      .filter((s) => s !== '')
      .map(decodeURIComponent);
  } catch {
    return undefined;
  }
}

function find(tree: Tree, segments: readonly string[]): Tree | undefined {
  let at: Tree | undefined = tree;
  for (const segment of segments) {
    if (Array.isArray(at)) at = entryOf(at, segment);
    else if (isFolder(at)) at = Object.hasOwn(at, segment) ? at[segment] : undefined;
    else return undefined;
    if (at === undefined) return undefined;
  }
  return at;
}

function entryOf(list: readonly Tree[], segment: string): Tree | undefined {
  const named = list.find((entry) => isFolder(entry) && entry.name === segment);
  return named ?? (/^\d+$/.test(segment) ? list[Number(segment)] : undefined);
}

function isFolder(tree: Tree | undefined): tree is { [key: string]: Tree } {
  return typeof tree === 'object' && tree !== null && !Array.isArray(tree);
}

function text(tree: Tree): string {
  if (Array.isArray(tree)) return tree.map((entry, i) => `${listLine(entry, i)}\n`).join('');
  if (!isFolder(tree)) return tree === null ? '' : String(tree);
  return Object.keys(tree)
    .sort()
    .map(
      (key) =>
        `${encodeURIComponent(key)}${typeof tree[key] === 'object' && tree[key] !== null ? '/' : ''}\n`,
    )
    .join('');
}

function listLine(entry: Tree, index: number): string {
  if (isFolder(entry) && typeof entry.name === 'string') return `${index}=${encodeURIComponent(entry.name)}`;
  return typeof entry === 'object' && entry !== null ? `${index}/` : String(index);
}
