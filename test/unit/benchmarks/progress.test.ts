import { expect, test } from 'vitest';
import { Progress } from '../../../benchmarks/progress.ts';

test('a line that is too long for a terminal ends by a sign of it', () => {
  const lines: string[] = [];
  const progress = new Progress((text) => lines.push(text), false);
  progress.step(1, 9, 'x'.repeat(73));
  progress.step(2, 9, 'x'.repeat(74));
  expect(lines).toEqual([`[1/9] ${'x'.repeat(73)}\n`, `[2/9] ${'x'.repeat(72)}…\n`]);
});
