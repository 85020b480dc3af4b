import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

/** The tests with a real Linux guest (docs/interop.md): one guest at a time, minutes in all. */
export default defineConfig({
  test: {
    name: 'interop',
    root: join(import.meta.dirname, '../..'),
    include: ['test/interop/**/*.test.ts'],
    globalSetup: ['test/interop/setup.ts'],
    pool: 'forks',
    maxWorkers: 1,
    // Against a hang only: an emulated machine takes 10 s to boot where nothing else runs.
    testTimeout: 300_000,
    hookTimeout: 30_000,
  },
});
