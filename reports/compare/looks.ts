import { ALPHA } from './verdict.ts';

/** How often pairs are looked at before the cap at most; each look spends its share of alpha. */
const LOOKS = 4;

export interface Looks {
  /** Numbers of pairs after which the verdict is drawn, rising; even, so that each order counts as often, but for the cap, the last. */
  readonly at: readonly number[];
  /** Level of each look, so that all together stay within alpha (Bonferroni). */
  readonly alpha: number;
}

/**
 * When to look at pairs that are added until they suffice: who looks often at the plain level finds something in the end. The first
 * look is where the signed-rank test of one of `family` comparisons can first reach its level: 2 / 2^n.
 * @param cap pairs after which it ends, ≥ 1
 */
export function lookSchedule(family: number, cap: number): Looks {
  const first = Math.ceil(Math.log2((2 * LOOKS * Math.max(1, family)) / ALPHA));
  const before = Array.from({ length: LOOKS - 1 }, (_, i) => 2 * Math.round((first * (cap / first) ** (i / (LOOKS - 1))) / 2));
  const at = [...new Set(before.filter((count) => first < cap && count < cap)), cap];
  return { at, alpha: ALPHA / at.length };
}

/** Fewest pairs with which `family` comparisons can show anything in a single look. */
export const pairsNeeded = (family: number): number => Math.ceil(Math.log2((2 * Math.max(1, family)) / ALPHA));
