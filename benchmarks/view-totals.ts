import type { PathTotal } from '../workers/view/machines.ts';

/** What a view has shown and copied before the encoder: a line for all, then one a path. */
export function viewTotalsText(totals: readonly PathTotal[]): string {
  const sum = (of: (total: PathTotal) => number): number => totals.reduce((all, total) => all + of(total), 0);
  const frames = sum((total) => total.frames);
  const seconds = sum((total) => total.seconds);
  const lines = totals.map((one) => `by ${one.path} ${one.frames} frames, ${(one.bytes / 1e6).toFixed(1)} MB copied`);
  const fps = seconds === 0 ? '' : `, ${(frames / seconds).toFixed(1)} fps`;
  return [`${frames} frames shown in ${seconds.toFixed(1)} s${fps}`, ...lines].map((line) => `${line}\n`).join('');
}
