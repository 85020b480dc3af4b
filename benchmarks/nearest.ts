/** Names that one may have meant: at most three, the nearest first, each nearer than a third of its letters. */
export function nearest(wrong: string, names: readonly string[]): string[] {
  const near = names
    .filter((name) => Math.abs(name.length - wrong.length) <= name.length / 3)
    .map((name) => ({ name, distance: distanceOf(wrong, name) }))
    .filter(({ name, distance }) => distance <= name.length / 3);
  const least = Math.min(...near.map(({ distance }) => distance));
  return near
    .filter(({ distance }) => distance <= least + 1)
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map(({ name }) => name);
}

/** Letters to be put in, left out or changed to come from one to the other (Levenshtein's distance). */
function distanceOf(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let k = 1; k <= to.length; k++) {
      next.push(Math.min(row[k] + 1, next[k - 1] + 1, row[k - 1] + (from[i - 1] === to[k - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[to.length];
}
