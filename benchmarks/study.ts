import type { MachineOptions } from '../core/machine/options.ts';
import type { PathGain, Scenario as ScenarioRecord, Study, StudyPoint, StudySeries } from '../reports/run-document.ts';

/** A scenario's options with what was measured of it. */
export interface Studied {
  readonly options: MachineOptions;
  readonly record: ScenarioRecord;
}

/** How a suite's question is answered from its scenarios. */
export interface StudyPlan {
  readonly question: string;
  readonly axis: string;
  readonly measure: string;
  readonly unit: string;
  readonly series: (scenarios: readonly Studied[]) => StudySeries[];
  /** Ratios that the answers rest on; absent: none. */
  readonly gains?: (scenarios: readonly Studied[]) => PathGain[];
  /** Sentences; none where too little was measured. */
  readonly answers: (series: readonly StudySeries[], scenarios: readonly Studied[]) => string[];
}

/** @param scenarios those that have results */
export function studyOf(plan: StudyPlan, scenarios: readonly Studied[]): Study {
  const { question, axis, measure, unit } = plan;
  const series = plan.series(scenarios);
  const gains = plan.gains?.(scenarios) ?? [];
  const answers = plan.answers(series, scenarios);
  return { question, axis, measure, unit, series, answers, ...(gains.length === 0 ? {} : { gains }) };
}

/** Reads one figure off each scenario. */
export interface Along {
  readonly name: (options: MachineOptions) => string;
  readonly at: (options: MachineOptions) => { readonly at: number; readonly label: string };
  readonly value: (studied: Studied) => number | null;
}

/** A series for each name, in the order of the scenarios; its points in that of the axis. */
export function seriesAlong(scenarios: readonly Studied[], { name, at, value }: Along): StudySeries[] {
  const byName = new Map<string, StudyPoint[]>();
  for (const studied of scenarios) {
    const points = byName.get(name(studied.options)) ?? [];
    byName.set(name(studied.options), points);
    const { id, results } = studied.record;
    points.push({ ...at(studied.options), value: value(studied), scenarios: [id], disturbed: results.disturbed });
  }
  return [...byName].map(([of, points]) => ({ name: of, points: points.sort((a, b) => a.at - b.at) }));
}

/** Median work of both sides for a frame, µs; null: the host does not say. */
export function workUs({ results }: ScenarioRecord): number | null {
  return results.hostServiceUs === null ? null : results.hostServiceUs.p50 + results.guestServiceUs.p50;
}

/** A series' values in the order of the axis, without those not measured. */
export function valuesOf(series: StudySeries): { at: number; label: string; value: number }[] {
  return series.points.flatMap(({ at, label, value }) => (value === null ? [] : [{ at, label, value }]));
}

/**
 * Where a rising series passes `level`, between two points on a line.
 * @returns the place; `below`: it stays under it; `above`: it begins over it
 */
export function crossing(series: StudySeries, level: number): number | 'below' | 'above' {
  const values = valuesOf(series);
  const first = values.findIndex(({ value }) => value > level);
  if (first < 0) return 'below';
  if (first === 0) return 'above';
  const [low, high] = [values[first - 1], values[first]];
  return low.at + ((level - low.value) / (high.value - low.value)) * (high.at - low.at);
}
