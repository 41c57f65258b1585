import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { until } from '@rancher/testing';
import { symbols } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLogger as create, type Logger } from './logger.ts';

let dir: string;
let file: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rancher-test-log-'));
  file = join(dir, 'logs', 'api.log');
});
afterEach(async () => {
  for (const logger of open.splice(0)) {
    const stream = (logger as unknown as Record<symbol, Writable>)[symbols.streamSym] as Writable;
    stream.end();
    await once(stream, 'close');
  }
  await rm(dir, { recursive: true, force: true });
});

/** In a process a logger stays open to its end; in a test it must not. */
const open: Logger[] = [];
function createLogger(options: Parameters<typeof create>[0]): Logger {
  const logger = create(options);
  open.push(logger);
  return logger;
}

/** Waits for so many lines in the file. */
async function lines(count: number): Promise<Record<string, unknown>[]> {
  const text = await until(`${count} lines are written`, async () => {
    const now = await readFile(file, 'utf8');
    return now.split('\n').length > count && now;
  });
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

describe('createLogger', () => {
  it('writes JSON lines with name, level in words and time', async () => {
    const logger = createLogger({ name: 'api', level: 'info', file });
    logger.debug('not this');
    logger.child({ requestId: 'r1' }).warn({ environmentId: 'env_1' }, 'slow');
    const [line] = await lines(1);
    expect(line).toMatchObject({
      name: 'api',
      level: 'warn',
      requestId: 'r1',
      environmentId: 'env_1',
      msg: 'slow',
    });
    expect(new Date(line?.time as string).getTime()).not.toBeNaN();
  });

  it.each([
    'authorization',
    'Authorization',
    'token',
    'credential',
    'key',
    'secret',
    'password',
    'privateKeyPem',
    'cookie',
  ])('hides %s, at every depth that we log', async (field) => {
    const logger = createLogger({ name: 'api', file });
    const secret = { [field]: 'hidden-value' };
    logger.info({ ...secret, headers: secret, req: { headers: secret } }, 'a request');
    const [line] = await lines(1);
    expect(JSON.stringify(line)).not.toContain('hidden-value');
    expect(line?.headers).toEqual({ [field]: '[redacted]' });
  });

  it('hides bytes and lists too, and leaves words that only look alike', async () => {
    const logger = createLogger({ name: 'api', file });
    logger.info({
      key: Buffer.from('hidden'),
      token: ['hidden'],
      tokenId: 'token_1',
      keys: 3,
      quote: 'a "key":1',
    });
    const [line] = await lines(1);
    expect(line).toMatchObject({ key: '[redacted]', token: '[redacted]', tokenId: 'token_1', keys: 3 });
    expect(line?.quote).toBe('a "key":1');
  });

  it('hides an API key and a private key in sentences', async () => {
    const logger = createLogger({ name: 'api', file });
    const pem = '-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBM\n-----END PRIVATE KEY-----';
    logger.info(`refused rk_3f9a${'b'.repeat(24)} with ${pem}`);
    const [line] = await lines(1);
    expect(line?.msg).toBe('refused rk_3f9a[redacted] with [redacted]');
  });

  it('hides the password of a URL in an error', async () => {
    const logger = createLogger({ name: 'api', file });
    const error = new Error('cannot reach postgres://rancher:hidden-value@127.0.0.1:5432/rancher');
    logger.error({ err: error }, error.message);
    const [line] = await lines(1);
    expect(JSON.stringify(line)).not.toContain('hidden-value');
    expect(line?.msg).toBe('cannot reach postgres://rancher:[redacted]@127.0.0.1:5432/rancher');
  });

  it('keeps the file to itself, and three old ones of 10 MB', async () => {
    const logger = createLogger({ name: 'api', file });
    const filler = 'x'.repeat(100_000);
    for (let i = 0; i < 550; i++) {
      logger.info({ i, filler }, 'much');
      if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await until('the last line is written', async () => (await readFile(file, 'utf8')).includes('"i":549'));
    const names = (await readdir(join(dir, 'logs'))).sort();
    expect(names).toEqual(['api.log', 'api.log.1', 'api.log.2', 'api.log.3']);
    for (const name of names) {
      const { mode, size } = await stat(join(dir, 'logs', name));
      expect(mode & 0o077).toBe(0);
      expect(size).toBeLessThan(12_000_000);
    }
  });
});
