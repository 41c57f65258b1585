/**
 * Protects the first minute of a newcomer: the launcher says what is wrong before it changes anything, works only when
 * there is something to do, and shows the end of a log when a step fails. In checkouts of its own, with npm played by a
 * script.
 */
import { execFile } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');
let checkout: string;
let bin: string;

function put(path: string, content: string, mode = 0o644): void {
  const file = join(checkout, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  chmodSync(file, mode);
}

/** Plays npm: notes what it was asked for, and leaves what npm would. */
const npm = `#!/bin/sh
echo "$*" >>"$ASKED"
case $1 in
  install) mkdir -p node_modules/.bin && touch node_modules/.package-lock.json ;;
  run) mkdir -p packages/db/src/generated && touch packages/db/src/generated/client.ts ;;
esac
[ -z "\${NPM_FAILS:-}" ] || { echo the registry is away; exit 1; }
`;
const build = `
import { mkdirSync, writeFileSync, appendFileSync } from 'node:fs';
appendFileSync(process.env.ASKED, 'build\\n');
mkdirSync('dist/programs', { recursive: true });
writeFileSync('dist/programs/versions.json', '{}');
for (const app of ['api', 'worker', 'agent', 'cli']) {
  mkdirSync('apps/' + app + '/dist', { recursive: true });
  writeFileSync('apps/' + app + '/dist/main.js', 'console.log(process.argv.slice(2).join(" ")); process.exitCode = 7;');
}
`;

beforeEach(() => {
  checkout = mkdtempSync(join(tmpdir(), 'rancher-launcher-'));
  bin = join(checkout, 'bin');
  copyFileSync(join(root, 'rancher'), join(checkout, 'rancher'));
  chmodSync(join(checkout, 'rancher'), 0o755);
  chmodSync(checkout, 0o755);
  cpSync(join(root, 'apps/cli/src/preflight'), join(checkout, 'apps/cli/src/preflight'), { recursive: true });
  put('package-lock.json', '{}');
  put('prisma/schema.prisma', '');
  put('packages/x/src/index.ts', '');
  put('scripts/build.ts', build);
  put('bin/npm', npm, 0o755);
  // Older than whatever the steps make, however coarse the clock of the file system is.
  for (const file of [
    'package-lock.json',
    'prisma/schema.prisma',
    'packages/x/src/index.ts',
    'scripts/build.ts',
  ])
    age(file);
});
afterEach(() => rmSync(checkout, { recursive: true, force: true }));

function age(file: string): void {
  const past = new Date(Date.now() - 60_000);
  utimesSync(join(checkout, file), past, past);
}

const asked = () =>
  existsSync(join(checkout, 'asked')) ? readFileSync(join(checkout, 'asked'), 'utf8').trim() : '';

function launch(args: string[], env: Record<string, string> = {}, as: string[] = []) {
  const [command = '', ...rest] = [...as, join(checkout, 'rancher'), ...args];
  return new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
    execFile(
      command,
      rest,
      {
        env: {
          PATH: `${bin}:${dirname(process.execPath)}:/usr/sbin:/usr/bin:/sbin:/bin`,
          ASKED: join(checkout, 'asked'),
          RANCHER_HOME: join(checkout, 'home'),
          ...env,
        },
      },
      (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}

test('a fresh checkout is prepared in three lines, then the command runs with its own exit code', async () => {
  const { code, stdout, stderr } = await launch(['status', '--json']);
  expect({ code, stdout }).toEqual({ code: 7, stdout: 'status --json\n' });
  expect(stderr.trim().split('\n')).toEqual([
    '· Installing npm packages',
    '· Generating the database client',
    '· Building',
  ]);
  expect(asked().split('\n')[0]).toBe('install --no-save --ignore-scripts --no-audit --no-fund');
});

test('what is fresh is left alone; what changed is done again, and nothing else', async () => {
  await launch(['status']);
  const before = asked();
  expect(await launch(['status'])).toEqual({ code: 7, stdout: 'status\n', stderr: '' });
  expect(asked()).toBe(before);

  const soon = new Date(Date.now() + 60_000);
  utimesSync(join(checkout, 'packages/x/src/index.ts'), soon, soon);
  expect((await launch(['status'])).stderr).toBe('· Building\n');
  age('packages/x/src/index.ts');

  utimesSync(join(checkout, 'package-lock.json'), soon, soon);
  expect((await launch(['status'])).stderr).toMatch(/^· Installing npm packages\n/);
  expect(asked()).toMatch(/install --no-save/);
});

test('a step that fails shows the end of its log, and ends it', async () => {
  const { code, stderr } = await launch(['status'], { NPM_FAILS: '1' });
  expect(code).toBe(1);
  expect(stderr).toMatch(/Installing npm packages failed[\s\S]*the registry is away/);
});

test('without root, up says so and has changed nothing', async () => {
  const nobody = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'];
  const { code, stderr } = await launch(['up'], {}, nobody);
  expect(code).toBe(1);
  expect(stderr).toMatch(/Nothing was changed[\s\S]*not root\n.*sudo/);
  expect(asked()).toBe('');
  expect(existsSync(join(checkout, 'node_modules'))).toBe(false);
});

test('without Node.js it says which is needed', async () => {
  put('only/readlink', '#!/bin/sh\nexec /usr/bin/readlink "$@"\n', 0o755);
  put('only/dirname', '#!/bin/sh\nexec /usr/bin/dirname "$@"\n', 0o755);
  put('only/uname', '#!/bin/sh\nexec /bin/uname "$@"\n', 0o755);
  put('only/id', '#!/bin/sh\nexec /usr/bin/id "$@"\n', 0o755);
  const { code, stderr } = await launch(['up'], { PATH: join(checkout, 'only') });
  expect(code).toBe(1);
  expect(stderr).toMatch(/Node\.js is missing: install Node\.js 20 or later/);
});
