import { describe, expect, test } from 'vitest';
import { SpinBudget } from '../../../workers/spin-budget.ts';

function budgetsAfter(budget: SpinBudget, ...slept: number[]): number[] {
  return slept.map((ns) => {
    budget.slept[0] = ns;
    budget.adapt();
    return budget.ns[0];
  });
}

describe('the spin budget', () => {
  test('is the most at first', () => {
    expect(new SpinBudget(50_000).ns[0]).toBe(50_000);
  });

  test('halves after sleeps longer than the most, down to nothing', () => {
    expect(budgetsAfter(new SpinBudget(800), 801, 10_000, 10_000, 10_000, 10_000)).toEqual([400, 200, 100, 0, 0]);
  });

  test('doubles after sleeps that spinning would have spared, up to the most', () => {
    const budget = new SpinBudget(800);
    budgetsAfter(budget, 10_000, 10_000, 10_000, 10_000);
    expect(budgetsAfter(budget, 800, 0, 500, 800, 1)).toEqual([100, 200, 400, 800, 800]);
  });

  test('of 0 stays 0', () => {
    expect(budgetsAfter(new SpinBudget(0), 0, 1, 1e9)).toEqual([0, 0, 0]);
  });
});
