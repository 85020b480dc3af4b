import { importMedianUs } from './imports.ts';
import type { Scenario } from './run-document.ts';
import { REPLACED_PATH } from './run-document.ts';
import type { Group } from './summary.ts';
import { isEncoded, isFaulty, workUs } from './summary.ts';

/** What importing a buffer costs once, and what each of its frames saves. */
export interface BreakEven {
  group: Group;
  imported: Scenario;
  replaced: Scenario;
  frameBytes: number;
  /** Median of one import, µs. */
  importUs: number;
  /** Work that an imported frame saves, µs; negative: it costs more. */
  savedUs: number;
  /** Frames that a buffer must be shown for its import to be paid; null: it never is. */
  frames: number | null;
  /** Time until all buffers are paid for, µs; null: never, or no rate paces the frames. */
  paidAfterUs: number | null;
}

/** Each importing path beside what it replaces, in the groups' order. */
export function breakEvens(groups: readonly Group[]): BreakEven[] {
  return groups.flatMap((group) => {
    const replaced = group.scenarios.find(({ path }) => path === REPLACED_PATH);
    if (replaced === undefined || isEncoded(group)) return [];
    return group.scenarios.flatMap((imported) => breakEven(group, imported, replaced) ?? []);
  });
}

function breakEven(group: Group, imported: Scenario, replaced: Scenario): BreakEven | null {
  if (imported.path !== 'vfio' && imported.path !== 'udmabuf') return null;
  const importUs = importMedianUs([imported]);
  if (importUs === null || isFaulty(imported) || isFaulty(replaced)) return null;
  // What it replaces imports its own buffer once too: only what is saved by the frame counts, so this errs against importing.
  const [before, after] = [workUs(replaced.results), workUs(imported.results)];
  if (before === null || after === null) return null;
  const savedUs = before - after;
  const frames = savedUs > 0 ? Math.max(1, Math.ceil(importUs / savedUs)) : null;
  const paidAfterUs = frames === null || imported.rateHz === null ? null : (frames * imported.buffers * 1e6) / imported.rateHz;
  return { group, imported, replaced, frameBytes: imported.width * imported.height * 4, importUs, savedUs, frames, paidAfterUs };
}

/**
 * Frame bytes from which a buffer's import is paid by its first frame: where straight lines through the measured sizes
 * (least squares) of cost and saving meet. null: fewer than two sizes, or no such size.
 */
export function firstFrameBytes(points: readonly BreakEven[]): number | null {
  if (new Set(points.map(({ frameBytes }) => frameBytes)).size < 2) return null;
  const gain = lineThrough(points.map(({ frameBytes, savedUs, importUs }) => [frameBytes, savedUs - importUs]));
  if (gain.slope <= 0) return null;
  return Math.max(0, -gain.intercept / gain.slope);
}

function lineThrough(points: readonly (readonly [number, number])[]): { slope: number; intercept: number } {
  const n = points.length;
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / n;
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / n;
  let above = 0;
  let below = 0;
  for (const [x, y] of points) {
    above += (x - meanX) * (y - meanY);
    below += (x - meanX) ** 2;
  }
  const slope = above / below;
  return { slope, intercept: meanY - slope * meanX };
}
