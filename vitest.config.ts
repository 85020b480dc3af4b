import { defineConfig } from 'vitest/config';

/** Tests that start threads of their own, or measure what a thread does: alone, or they disturb each other. */
const THREADED = [
  'test/e2e/**/*.test.ts',
  'test/fault/**/*.test.ts',
  'test/fuzz/**/*.test.ts',
  'test/unit/workers/**/*.test.ts',
  'test/unit/benchmarks/runner.test.ts',
  'test/unit/ring/{allocation,doorbell}.test.ts',
  'test/schedules/**/*.test.ts',
  'test/mutants/{sample,killed}.test.ts',
];

export default defineConfig({
  test: {
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // Forks, not threads: tests start workers of their own and measure their process.
    pool: 'forks',
    projects: [
      {
        extends: true,
        test: {
          name: 'parallel',
          include: ['test/**/*.test.ts'],
          // With a real guest: npm run test:interop.
          exclude: [...THREADED, 'test/interop/**', '**/node_modules/**'],
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: { name: 'alone', include: THREADED, maxWorkers: 1, sequence: { groupOrder: 1 } },
      },
    ],
  },
});
