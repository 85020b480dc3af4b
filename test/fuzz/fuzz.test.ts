import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runFuzz } from '../../benchmarks/fuzz/run.ts';
import { fuzzText } from '../../benchmarks/fuzz/text.ts';
import { ROOT } from '../support/undo-fix.ts';

const TRACES = join(ROOT, 'test', 'fixtures', 'traces');
const SECONDS = 10;

test.each([
  ['a new one', randomInt(2 ** 31 - 1)],
  ['always the same', 20260731],
])(
  'no hostile guest gets an exception, a hang, a leak, an escape or a wrong frame out of the host (seed: %s, %i)',
  async (_which, seed) => {
    console.log(`scanout fuzz --seed ${seed}`);
    const outcome = await runFuzz({ seed, seconds: SECONDS, traces: TRACES });
    expect(outcome.failure, fuzzText(outcome)).toBeNull();
    for (const [part, { inputs }] of Object.entries(outcome.parts)) expect(inputs, part).toBeGreaterThan(0);
    expect(outcome.chains).toBeGreaterThan(0);
    expect(outcome.broken).toBeGreaterThan(0);
  },
  200_000,
);
