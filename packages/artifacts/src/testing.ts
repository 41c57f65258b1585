import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Manifest } from './manifest.ts';
import { hostArch, type Release } from './versions.ts';

/** What a test server answers for a path: content, or something that goes wrong. */
type Answer = Buffer | string | ((response: ServerResponse) => void);

export interface Origin {
  url: string;
  answers: Map<string, Answer>;
  /** Paths that were asked for with GET, in order. */
  requests: string[];
}

/** A web server on loopback that answers what the test says, and 404 for the rest; closed after the test. */
export async function startOrigin(): Promise<Origin> {
  const answers = new Map<string, Answer>();
  const requests: string[] = [];
  const server = createServer((request, response) => {
    if (request.method === 'GET') requests.push(request.url!);
    const answer = answers.get(request.url!);
    if (typeof answer === 'function') answer(response);
    else if (answer === undefined) response.writeHead(404).end();
    else response.end(answer);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, answers, requests };
}

/** A folder of the test's own, removed after it. */
export async function temporaryDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'rancher-artifacts-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** Answers the way a mirror does, with a made-up content for each file. Gives that content. */
export function serveMirror(origin: Origin, release: Release): Map<string, Buffer> {
  const contents = new Map(release.files.map((f) => [f, Buffer.from(`#!/bin/sh\necho ${f}\n`.repeat(50))]));
  const manifest: Manifest = {
    name: release.name,
    version: release.version,
    arch: hostArch(),
    source: 'official',
    files: Object.fromEntries([...contents].map(([f, c]) => [f, { sha256: sha256(c), size: c.length }])),
  };
  const root = `/${release.name}-${release.version}`;
  for (const [file, content] of contents) origin.answers.set(`${root}/${file}`, content);
  origin.answers.set(`${root}/manifest.json`, JSON.stringify(manifest));
  return contents;
}

/** An answer that promises more than it brings, and then drops the connection. */
export function truncated(content: Buffer): Answer {
  return (response) => {
    response.writeHead(200, { 'content-length': content.length });
    response.write(content.subarray(0, content.length >> 1), () => response.destroy());
  };
}

/** Answers one way first, and another way ever after. */
export function firstThen(first: Answer, then: Answer): Answer {
  let asked = false;
  return (response) => {
    const answer = asked ? then : first;
    asked = true;
    if (typeof answer === 'function') answer(response);
    else response.end(answer);
  };
}

export function sha256(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}
