import { expect, test } from 'vitest';
import { COUNTERS, Counter } from '../../../core/measure/counters.ts';

test('every counter has a cell of its own, within the block', () => {
  const cells = Object.values(Counter);
  expect(new Set(cells).size).toBe(cells.length);
  expect(Math.max(...cells)).toBeLessThan(COUNTERS);
});
