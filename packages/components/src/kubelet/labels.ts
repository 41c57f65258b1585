/** Labels below kubernetes.io that the kubelet may set on its own Node (NodeRestriction admission). */
const allowedNames = [
  'kubernetes.io/arch',
  'kubernetes.io/os',
  'topology.kubernetes.io/region',
  'topology.kubernetes.io/zone',
  'node.kubernetes.io/instance-type',
];
const allowedDomains = ['kubelet.kubernetes.io', 'node.kubernetes.io'];

/** The host's labels as `--node-labels`, without those that would make kubelet refuse to start; undefined when none. */
export function nodeLabels(labels: Record<string, string>): string | undefined {
  const permitted = Object.entries(labels)
    .filter(([key]) => mayLabelItself(key))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return permitted.length === 0 ? undefined : permitted.map(([key, value]) => `${key}=${value}`).join(',');
}

function mayLabelItself(key: string): boolean {
  const domain = key.includes('/') ? key.slice(0, key.indexOf('/')) : '';
  if (!/(^|\.)(kubernetes|k8s)\.io$/.test(domain)) return true;
  if (allowedNames.includes(key)) return true;
  return allowedDomains.some((d) => domain === d || domain.endsWith(`.${d}`));
}
