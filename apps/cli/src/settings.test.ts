/** Protects that what `up` was told holds for later commands, and that the environment overrides it. */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadSettings, storeSettings } from './settings.ts';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'rancher-settings-'));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

test('settings are kept, readable by their owner alone', () => {
  storeSettings(loadSettings({ RANCHER_HOME: home, RANCHER_PORT: '18181', RANCHER_CACHE: '/tmp/c' }));
  const later = loadSettings({ RANCHER_HOME: home });
  expect(later.config).toMatchObject({ port: 18181, cache: '/tmp/c', postgresPort: 18182 });
  expect(later.exists).toBe(true);
  expect(statSync(later.paths.settings).mode & 0o777).toBe(0o600);
});

test('the environment overrides what was kept; an empty variable does not', () => {
  storeSettings(loadSettings({ RANCHER_HOME: home, RANCHER_PORT: '18181' }));
  expect(loadSettings({ RANCHER_HOME: home, RANCHER_PORT: '18282' }).config.port).toBe(18282);
  expect(loadSettings({ RANCHER_HOME: home, RANCHER_PORT: '' }).config.port).toBe(18181);
});

test('children get the settings and what they need of the environment, nothing else', () => {
  const { childEnvironment } = loadSettings({
    RANCHER_HOME: home,
    PATH: '/bin',
    HTTPS_PROXY: 'p',
    SECRET: 's',
  });
  expect(childEnvironment).toMatchObject({
    RANCHER_HOME: home,
    RANCHER_PORT: '8080',
    PATH: '/bin',
    HTTPS_PROXY: 'p',
  });
  expect(childEnvironment).not.toHaveProperty('SECRET');
});
