import { importMedianUs } from './imports.ts';
import type { Path, Scenario } from './run-document.ts';
import { PATHS } from './run-document.ts';
import { isFaulty, workUs } from './summary.ts';

/** How a path's cost changes with one setting, all others alike. */
export interface Curves {
  /** Hz; null: at max rate. */
  rateHz: number | null;
  /** What the scenarios share, to tell two drawings apart: `64k pages`, `4K`. */
  paths: { path: Path; points: CurvePoint[] }[];
}

export interface CurvePoint {
  x: number;
  /** µs. */
  us: number;
  scenario: Scenario;
}

/** Work for a frame by its size, bytes: every set of scenarios that differ in nothing else and have two sizes or more. */
export function costBySize(scenarios: readonly Scenario[]): Curves[] {
  return curvesOf(
    scenarios,
    (s) => [s.layout],
    (s) => s.width * s.height * 4,
    (s) => workUs(s.results),
  );
}

/** Work for a frame by its buffer's segments, one size and two layouts or more. */
export function costByFragments(scenarios: readonly Scenario[]): Curves[] {
  return curvesOf(
    scenarios,
    (s) => [s.width, s.height],
    (s) => s.results.segments,
    (s) => workUs(s.results),
  );
}

/** One import by its buffer's segments, likewise. */
export function importByFragments(scenarios: readonly Scenario[]): Curves[] {
  return curvesOf(
    scenarios,
    (s) => [s.width, s.height],
    (s) => s.results.segments,
    (s) => importMedianUs([s]),
  );
}

function curvesOf(
  scenarios: readonly Scenario[],
  own: (scenario: Scenario) => (string | number)[],
  x: (scenario: Scenario) => number,
  us: (scenario: Scenario) => number | null,
): Curves[] {
  const alike = new Map<string, Scenario[]>();
  for (const s of scenarios) {
    if (isFaulty(s)) continue;
    const key = JSON.stringify([s.rateHz, s.sink, s.ring, s.host, s.renderer, s.buffers, s.heads, s.settings ?? {}, ...own(s)]);
    alike.set(key, [...(alike.get(key) ?? []), s]);
  }
  return [...alike.values()].flatMap((members) => {
    const paths = PATHS.map((path) => ({ path, points: pointsOf(members, path, x, us) })).filter(({ points }) => points.length >= 2);
    return paths.length === 0 ? [] : [{ rateHz: members[0].rateHz, paths }];
  });
}

/** By x, ascending; a place that two scenarios share is no curve's. */
function pointsOf(members: readonly Scenario[], path: Path, x: (s: Scenario) => number, us: (s: Scenario) => number | null): CurvePoint[] {
  const points = new Map<number, CurvePoint>();
  for (const scenario of members) {
    const value = us(scenario);
    if (scenario.path === path && value !== null && value > 0) points.set(x(scenario), { x: x(scenario), us: value, scenario });
  }
  return [...points.values()].sort((a, b) => a.x - b.x);
}
