import { resolve } from 'node:path';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    reporters: ['default', './test/support/closing-line.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    alias: { '@harbor/sdk': resolve(import.meta.dirname, 'sdk/src/index.ts') },
    // Each file works on a database of its own, cloned from a migrated template.
    fileParallelism: true,
    maxWorkers: 2,
    // In the gate a fault test that a busy machine has upset gets a second try; the log shows the first.
    retry: process.env.CI === undefined ? 0 : 1,
    testTimeout: 30_000,
    expect: { poll: { timeout: 10_000 } },
    hookTimeout: 90_000,
  },
});
