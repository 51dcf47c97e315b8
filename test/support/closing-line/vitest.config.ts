import { defineConfig } from 'vitest/config';

/** A run of its own, to see what the reporter writes. */
export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ['*.fixture.ts'],
    reporters: ['../closing-line.ts'],
    retry: 1,
  },
});
