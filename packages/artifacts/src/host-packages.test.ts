import { expect, test } from 'vitest';
import { checkHostPackages, ensureHostPackages } from './host-packages.ts';

test('a host that was made ready lacks nothing', async () => {
  expect(await ensureHostPackages()).toEqual([]);
  expect(await checkHostPackages()).toEqual([]);
});
