import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // Forks, not threads: tests start workers of their own and measure their process.
    pool: 'forks',
    // Two files at a time: sessions under test run two threads each.
    maxWorkers: 2,
  },
});
