/**
 * Bundles each app's own sources (workspace packages inlined, npm packages left outside) into `apps/<app>/dist/main.js`:
 * a process then starts in a fraction of the time and memory that stripping types file by file takes. Usage:
 * `node scripts/build.ts [app …]`.
 */
import { writeFile } from 'node:fs/promises';
import { build } from 'esbuild';

/** Entry point of each bundle, by `apps/<app>/dist/<name>.js`. */
const entries: Record<string, Record<string, string>> = {
  api: { main: 'apps/api/src/server.ts' },
  worker: { main: 'apps/worker/src/main.ts' },
  agent: { main: 'apps/agent/src/main.ts' },
  cli: { main: 'apps/cli/src/main.ts', postgres: 'packages/db/src/embedded-main.ts' },
};

/** Ours; and pure modules of hundreds of files, of which a bundle keeps the few it uses: 250 ms less for each start. */
const inlined = /^(@rancher\/|(typebox|commander)(\/|$))/;

async function bundle(app: string, names: Record<string, string>): Promise<void> {
  const outdir = `apps/${app}/dist`;
  await build({
    entryPoints: names,
    outdir,
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    // What is imported lazily is loaded lazily: the CLI starts with what its command needs.
    splitting: true,
    chunkNames: 'chunks/[name]-[hash]',
    sourcemap: 'linked',
    // npm packages stay outside.
    plugins: [
      {
        name: 'npm-packages-outside',
        setup(b) {
          b.onResolve({ filter: /^[^./]/ }, (args) =>
            args.kind === 'entry-point' || inlined.test(args.path) ? null : { external: true },
          );
        },
      },
    ],
    logLevel: 'warning',
  });
  // A bundle is one file of many modules: it is an ES module wherever it is copied.
  await writeFile(`${outdir}/package.json`, '{ "type": "module" }\n');
}

const wanted = process.argv.slice(2);
await Promise.all(
  Object.entries(entries)
    .filter(([app]) => wanted.length === 0 || wanted.includes(app))
    .map(([app, names]) => bundle(app, names)),
);
