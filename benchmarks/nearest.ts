/**
 * Names that one may have meant: at most three, the nearest first, each nearer than a third of its letters. Where none is so near:
 * those that begin as it does.
 */
export function nearest(wrong: string, names: readonly string[]): string[] {
  const near = names
    .filter((name) => Math.abs(name.length - wrong.length) <= name.length / 3)
    .map((name) => ({ name, distance: distanceOf(wrong, name) }))
    .filter(({ name, distance }) => distance <= name.length / 3);
  const least = Math.min(...near.map(({ distance }) => distance));
  const found = near
    .filter(({ distance }) => distance <= least + 1)
    .sort((a, b) => a.distance - b.distance)
    .map(({ name }) => name);
  const begun = wrong.length < LEAST_BEGINNING ? [] : names.filter((name) => name.startsWith(wrong));
  return (found.length > 0 ? found : begun).slice(0, 3);
}

/** Fewer letters begin too many names. */
const LEAST_BEGINNING = 3;

/** What to use instead of a wrong name: `did you mean quick? Else use quick, default`, or `use quick, default`. */
export function useInstead(wrong: string, names: readonly string[]): string {
  const near = nearest(wrong, names);
  return `${near.length === 0 ? 'use' : `did you mean ${near.join(' or ')}? Else use`} ${names.join(', ')}`;
}

/**
 * Letters to be put in, left out or changed, or neighbours to change places, to come from one to the other (Levenshtein's distance
 * with transpositions, as optimal string alignment counts them).
 */
function distanceOf(from: string, to: string): number {
  let before: number[] = [];
  let row = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let k = 1; k <= to.length; k++) {
      const swapped = i > 1 && k > 1 && from[i - 1] === to[k - 2] && from[i - 2] === to[k - 1];
      const changed = row[k - 1] + (from[i - 1] === to[k - 1] ? 0 : 1);
      next.push(Math.min(row[k] + 1, next[k - 1] + 1, changed, swapped ? before[k - 2] + 1 : changed));
    }
    before = row;
    row = next;
  }
  return row[to.length];
}
