import { expect, test } from 'vitest';
import { GLASS } from '../../../../benchmarks/glass/suite.ts';
import { isWatched, scenarioOfId } from '../../../../benchmarks/scenarios.ts';
import { COPIES } from '../../../../core/machine/options.ts';
import type { Metrics } from '../../../../reports/run-document.ts';
import { glassMetrics } from '../../../support/glass-metrics.ts';

test('the suite has each zero-copy path over each that copies, at the same rate, by the median from glass to glass', () => {
  const all = GLASS.scenarios();
  expect(all.every(isWatched)).toBe(true);
  const pairs = GLASS.pairs?.() ?? [];
  expect(pairs).toHaveLength(8);
  for (const { of, to, figure } of pairs) {
    const [one, other] = [of, to].map((id) => all.find((scenario) => scenario.id === id)?.options);
    expect([COPIES[one?.path ?? 'copy'], one?.rateHz]).toEqual([0, other?.rateHz]);
    expect(COPIES[other?.path ?? 'vfio']).toBeGreaterThan(0);
    expect(figure({ glass: glassMetrics() } as Metrics)).toBe(47_200);
    expect(figure({} as Metrics)).toBe(0);
  }
});

test('each scenario is found again by its id', () => {
  for (const scenario of GLASS.scenarios()) expect(scenarioOfId(scenario.id)).toEqual(scenario);
});
