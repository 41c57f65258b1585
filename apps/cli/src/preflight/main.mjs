// The launcher's preflight of `rancher up`, before anything is installed. Exit code 1 with every problem at once.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProblems, formatProblems } from './checks.mjs';
import { gatherFacts } from './facts.mjs';

const home = process.env.RANCHER_HOME || '/var/lib/rancher';
const cache = process.env.RANCHER_CACHE || join(process.env.HOME || '/root', '.cache/rancher');
const settings = join(home, 'config.json');
const stored = existsSync(settings) ? JSON.parse(readFileSync(settings, 'utf8')) : {};
const port = Number(process.env.RANCHER_PORT || stored.variables?.RANCHER_PORT || 8080);

// With an installation in place, its own server may hold the port: the CLI, which knows its processes, looks again.
const ports = existsSync(settings) ? [] : [{ port, variable: 'RANCHER_PORT' }];
const problems = findProblems(gatherFacts({ home, cache, ports, ours: [] }));
if (problems.length > 0) {
  process.stderr.write(`${formatProblems(problems)}\n`);
  process.exit(1);
}
