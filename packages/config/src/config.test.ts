import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadConfig } from './config.ts';
import { configurationTable } from './docs.ts';

describe('loadConfig', () => {
  it('has a default for everything', () => {
    expect(loadConfig({ HOME: '/home/u' })).toEqual({
      home: '/var/lib/rancher',
      port: 8080,
      listen: ['127.0.0.1'],
      cache: '/home/u/.cache/rancher',
      databaseUrl: undefined,
      postgresPort: 8081,
      redisUrl: undefined,
      masterKeyFile: '/var/lib/rancher/master.key',
      systemKeyFile: '/var/lib/rancher/system.key',
      apiUrl: 'http://127.0.0.1:8080',
      workerPort: 0,
      advertise: '127.0.0.1:8080',
      agentImage: 'rancher-agent',
      artifactsMirror: undefined,
      logLevel: 'info',
      logFile: undefined,
      replicaId: expect.stringMatching(/^[0-9a-f]{8}$/),
    });
  });

  it('derives what depends on home and port', () => {
    expect(loadConfig({ RANCHER_HOME: '/srv/two', RANCHER_PORT: '9000' })).toMatchObject({
      masterKeyFile: '/srv/two/master.key',
      systemKeyFile: '/srv/two/system.key',
      apiUrl: 'http://127.0.0.1:9000',
      advertise: '127.0.0.1:9000',
      postgresPort: 9001,
    });
  });

  it('keeps what is given', () => {
    const url = 'postgres://rancher:p%40ss@db:5432/rancher';
    expect(
      loadConfig({
        DATABASE_URL: url,
        REDIS_URL: 'redis://cache:6379',
        RANCHER_LISTEN: '10.0.0.5, 127.0.0.1',
        RANCHER_ADVERTISE: 'rancher.example.com:443',
        RANCHER_REPLICA_ID: 'api-1',
      }),
    ).toMatchObject({
      databaseUrl: url,
      redisUrl: 'redis://cache:6379',
      listen: ['10.0.0.5', '127.0.0.1'],
      advertise: 'rancher.example.com:443',
      replicaId: 'api-1',
    });
  });

  it.each([
    ['0.0.0.0', '127.0.0.1:8080'],
    ['::', '127.0.0.1:8080'],
    ['::1', '[::1]:8080'],
    ['10.0.0.5,127.0.0.1', '10.0.0.5:8080'],
  ])('advertises an address that can be dialled when it listens on %s', (listen, advertise) => {
    expect(loadConfig({ RANCHER_LISTEN: listen }).advertise).toBe(advertise);
  });

  it('counts empty as unset', () => {
    expect(loadConfig({ REDIS_URL: '', RANCHER_PORT: '' })).toMatchObject({
      redisUrl: undefined,
      port: 8080,
    });
  });

  it.each([
    [{ RANCHER_PORT: 'http' }, 'RANCHER_PORT must be a whole number from 1 to 65535'],
    [{ RANCHER_PORT: '70000' }, 'RANCHER_PORT must be a whole number from 1 to 65535'],
    [{ RANCHER_PORT: '80.5' }, 'RANCHER_PORT must be a whole number from 1 to 65535'],
    [{ RANCHER_PORT: '65535' }, 'RANCHER_POSTGRES_PORT must be set: RANCHER_PORT + 1 is no port'],
    [{ REDIS_URL: 'localhost:6379' }, 'REDIS_URL must match ^rediss?://.+'],
    [{ RANCHER_LISTEN: '127.0.0.1,everywhere' }, 'RANCHER_LISTEN must be IP addresses separated by commas'],
    [
      { RANCHER_LOG_LEVEL: 'loud' },
      'RANCHER_LOG_LEVEL must be one of fatal, error, warn, info, debug, trace',
    ],
  ])('names the variable that is wrong: %j', (env, message) => {
    expect(() => loadConfig(env)).toThrow(message);
  });

  it('names all that is wrong at once, and repeats no value', () => {
    const message = (() => {
      try {
        loadConfig({ DATABASE_URL: 'mysql://u:secret@h', RANCHER_ADVERTISE: 'nohost' });
        return '';
      } catch (error) {
        return (error as Error).message;
      }
    })();
    expect(message).toMatch(/^DATABASE_URL must match .*\nRANCHER_ADVERTISE must match /);
    expect(message).not.toContain('secret');
  });
});

it('is what docs/configuration.md says', () => {
  // The formatter aligns the columns of the page.
  const plain = (text: string): string => text.replaceAll(/ +/g, ' ').replaceAll(/\| ?-+ ?(?=\|)/g, '|---');
  const page = readFileSync(join(import.meta.dirname, '../../../docs/configuration.md'), 'utf8');
  expect(plain(page)).toContain(plain(configurationTable()));
});
