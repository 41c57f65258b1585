/**
 * Imports point inward (DESIGN, "The house"): domain ← contracts ← planner, components ← adapters ← reconcilers ← apps.
 * `npm run boundaries` fails on an arrow that points the other way.
 */
const layers = [
  ['domain'],
  ['contracts', 'pki'],
  ['planner', 'components'],
  [
    'db',
    'queue',
    'runtimes',
    'artifacts',
    'telemetry',
    'config',
    'streams',
    'api-client',
    'kube-watch',
    'network-policy',
    'testing',
  ],
  ['reconcilers'],
];

const outward = layers.flatMap((names, i) => {
  const outer = layers.slice(i + 1).flat();
  const forbidden = [...outer.map((n) => `^packages/${n}/`), '^apps/', '^bench/', '^test/'];
  return names.map((name) => ({
    name: `${name}-points-inward`,
    severity: 'error',
    from: { path: `^packages/${name}/`, pathNot: '\\.test\\.ts$' },
    to: { path: forbidden },
  }));
});

module.exports = {
  forbidden: [
    ...outward,
    {
      name: 'planner-is-pure',
      comment: 'no IO, no clock, no random: nothing but the domain',
      severity: 'error',
      from: { path: '^packages/planner/', pathNot: '\\.test\\.ts$' },
      to: { pathNot: ['^packages/(planner|domain|contracts)/'] },
    },
    {
      name: 'apps-do-not-import-apps',
      comment: 'except that the CLI sets up and tears down the machine with the agent’s own code',
      severity: 'error',
      from: { path: '^apps/([^/]+)/' },
      to: { path: '^apps/([^/]+)/', pathNot: ['^apps/$1/', '^apps/agent/src/local-hosts/'] },
    },
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'no-undeclared-packages',
      severity: 'error',
      from: {},
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: ['/dist/', '/generated/'] },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default'] },
  },
};
