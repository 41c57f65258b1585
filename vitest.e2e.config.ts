import { defineConfig } from 'vitest/config';

/** Whole-system tests on real clusters of local hosts, one file after the other: each owns its installation. */
export default defineConfig({
  test: {
    include: ['test/e2e/**/*.test.ts'],
    testTimeout: 600_000,
    hookTimeout: 900_000,
    fileParallelism: false,
    maxWorkers: 1,
    reporters: ['verbose'],
  },
});
