import { betterWay } from '../compare/metrics.ts';
import { changePoints } from './change-points.ts';
import type { HistoryEnvironment } from './run-index.ts';
import type { Observation } from './store.ts';

/** What `scanout history --json` prints. */
export interface HistoryDocument {
  /** By its place in the run document's results. */
  readonly metric: string;
  readonly better: 'lower' | 'higher';
  /** Smaller changes are left out: a share of the lesser level. */
  readonly magnitude: number;
  /** The most that a change's p-value is. */
  readonly p: number;
  /** Where the index lies. */
  readonly index: string;
  /** Those that a trend has. */
  readonly environments: readonly HistoryEnvironment[];
  /** Runs are compared only within one: same environment, scenario and options. */
  readonly trends: readonly Trend[];
}

export interface Trend {
  /** Id of the environment. */
  readonly environment: string;
  readonly scenario: string;
  readonly options: string;
  /** In the order of time. */
  readonly runs: readonly TrendRun[];
  readonly changes: readonly Change[];
}

export interface TrendRun {
  readonly run: string;
  readonly startedAt: string;
  readonly commit: string | null;
  readonly dirty: boolean;
  readonly value: number;
  /** Why the change points were found without it; null: they were not. */
  readonly excluded: string | null;
}

export interface Change {
  /** Place in `runs` of the first run after it. */
  readonly at: number;
  readonly startedAt: string;
  /** Means of the runs on both sides, each to the next change. */
  readonly before: number;
  readonly after: number;
  /** after / before; null: before is 0. */
  readonly ratio: number | null;
  readonly p: number;
  readonly verdict: 'regressed' | 'improved';
  /** Of the first run after it: the change is near this commit, and after the one below. */
  readonly commit: string | null;
  readonly previousCommit: string | null;
}

export interface TrendOptions {
  readonly metric: string;
  /** Default 0.05. */
  readonly magnitude?: number;
  /** Default 0.001. */
  readonly p?: number;
  /** Only the last so many runs of each trend. */
  readonly last?: number;
}

/** Sorts observations into trends and finds the changes of each. The environment that ran last comes first. */
export function historyDocument(
  observations: readonly Observation[],
  environments: readonly HistoryEnvironment[],
  index: string,
  options: TrendOptions,
): HistoryDocument {
  const { metric, magnitude = 0.05, p = 0.001, last = Number.POSITIVE_INFINITY } = options;
  const better = betterWay(metric);
  const groups = new Map<string, Observation[]>();
  for (const observation of observations) {
    const key = JSON.stringify([observation.environment, observation.scenario, observation.options]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [observation]);
    else group.push(observation);
  }
  const trends = [...groups.values()].map((group) => trendOf(group.slice(-last), better, magnitude, p));
  const latest = new Map<string, string>();
  for (const { environment, startedAt } of observations) latest.set(environment, startedAt);
  const since = (environment: string): string => latest.get(environment) ?? '';
  trends.sort(
    (a, b) =>
      compareText(since(b.environment), since(a.environment)) ||
      compareText(a.environment, b.environment) ||
      compareText(a.scenario, b.scenario) ||
      compareText(a.options, b.options),
  );
  const shown = [...new Set(trends.map(({ environment }) => environment))];
  return {
    metric,
    better,
    magnitude,
    p,
    index,
    environments: shown.flatMap((id) => environments.filter((environment) => environment.id === id)),
    trends,
  };
}

function trendOf(group: readonly Observation[], better: 'lower' | 'higher', magnitude: number, p: number): Trend {
  const [{ environment, scenario, options }] = group;
  const runs = group.map(({ run, startedAt, commit, dirty, value, excluded }) => ({ run, startedAt, commit, dirty, value, excluded }));
  const used = runs.flatMap((run, at) => (run.excluded === null ? [at] : []));
  const points = changePoints(
    used.map((at) => runs[at].value),
    { magnitude, p },
  );
  const changes = points.map(({ index, before, after, p }): Change => {
    const at = used[index];
    return {
      at,
      startedAt: runs[at].startedAt,
      before,
      after,
      ratio: before === 0 ? null : after / before,
      p,
      verdict: after > before === (better === 'higher') ? 'improved' : 'regressed',
      commit: runs[at].commit,
      previousCommit: runs[used[index - 1]].commit,
    };
  });
  return { environment, scenario, options, runs, changes };
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
