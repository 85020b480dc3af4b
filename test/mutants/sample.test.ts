import { expect, test } from 'vitest';
import { Random } from '../../core/memory/random.ts';
import { MUTANTS } from './list/index.ts';
import { Workshop } from './workshop.ts';

/** Their tests take long, on a busy machine longer than this file may. */
const SLOW = /^test\/(?:e2e|fuzz|schedules|hostile)\//;
const BOUND_MS = 60_000;

// All of them: npm run mutants.
const seed = Number(process.env['SCANOUT_MUTANT_SEED'] ?? Date.now() % 1_000_000);
const random = new Random(seed);
const quick = MUTANTS.filter(
  ({ tests, equivalent }) => equivalent === undefined && tests.length <= 3 && !tests.some((file) => SLOW.test(file)),
);
const sample = Array.from({ length: 3 }, () => quick[random.below(quick.length)]);

test(`three mutants, picked by seed ${seed} (SCANOUT_MUTANT_SEED), are caught: ${sample.map(({ id }) => id).join(', ')}`, {
  timeout: 4 * BOUND_MS,
}, async () => {
  const workshop = new Workshop();
  try {
    for (const mutant of sample) {
      const { end, by } = await workshop.try(mutant, BOUND_MS);
      expect(['failed', 'hung'], `${mutant.id}, seed ${seed}: ${end} ${by}`).toContain(end);
    }
  } finally {
    workshop.close();
  }
});
