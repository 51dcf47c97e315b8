import { resolve } from 'node:path';
import { defineConfig } from 'vitest/config';

const shared = {
  alias: { '@harbor/sdk': resolve(import.meta.dirname, 'sdk/src/index.ts') },
  testTimeout: 30_000,
  expect: { poll: { timeout: 10_000 } },
  hookTimeout: 90_000,
};

const faults = ['test/faults/**/*.test.ts'];

export default defineConfig({
  test: {
    reporters: ['default', './test/support/closing-line.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    // Each file works on a database of its own, cloned from a migrated template.
    fileParallelism: true,
    maxWorkers: 2,
    projects: [
      { test: { ...shared, name: 'tests', include: ['test/**/*.test.ts'], exclude: faults } },
      {
        test: {
          ...shared,
          name: 'faults',
          include: faults,
          // In the gate a fault test that a busy machine has upset gets a second try; the closing lines name it.
          retry: process.env.CI === undefined ? 0 : 1,
        },
      },
    ],
  },
});
