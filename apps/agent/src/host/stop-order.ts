/**
 * Layers in which instances are stopped: first those that no other stands on, last those that the others need.
 * An API server lingers when its etcd is stopped before it.
 */
export function stopOrder(instances: readonly { id: string; after: readonly string[] }[]): string[][] {
  const layers: string[][] = [];
  let left = [...instances];
  while (left.length > 0) {
    const needed = new Set(left.flatMap((i) => i.after));
    const layer = left.filter((i) => !needed.has(i.id));
    // A circle cannot be ordered: all at once then.
    const stopped = layer.length > 0 ? layer : left;
    layers.push(stopped.map((i) => i.id));
    left = left.filter((i) => !stopped.includes(i));
  }
  return layers;
}
