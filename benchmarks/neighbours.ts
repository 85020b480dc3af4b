import type { Repetition } from '../reports/run-document.ts';

/** Timed repetitions of two scenarios that were measured in the same round, one right after the other: what drifts has moved both. */
export function neighbours(one: readonly Repetition[], other: readonly Repetition[]): [Repetition, Repetition][] {
  const byRound = new Map(other.map((repetition) => [repetition.round, repetition]));
  return one.flatMap((repetition): [Repetition, Repetition][] => {
    const neighbour = repetition.round === undefined ? undefined : byRound.get(repetition.round);
    return neighbour === undefined ? [] : [[repetition, neighbour]];
  });
}
