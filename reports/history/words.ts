/** A history's figures in words, the same in the terminal and on the page. */
import { compact, plain } from '../format.ts';
import type { HistoryEnvironment } from './run-index.ts';
import type { Change, Trend, TrendRun } from './trend.ts';

/** `AMD EPYC 7763, 2 cores, Linux 6.18.5, Node 26.10.0, V8 14.4 (8f3a2c1d)`. */
export function environmentWords({ id, cpu, cores, kernel, node, v8 }: HistoryEnvironment): string {
  return plain(`${cpu}, ${cores} ${cores === 1 ? 'core' : 'cores'}, ${kernel}, Node ${node}, V8 ${v8} (${id})`);
}

/** `+16.2%`; of a level that was 0 there is no share. */
export function changeWords({ ratio }: Change): string {
  if (ratio === null) return 'from 0';
  const percent = (ratio - 1) * 100;
  const size = Math.abs(percent);
  return `${percent < 0 ? '-' : '+'}${size >= 1000 ? compact(size) : size.toFixed(1)}%`;
}

export function pWords(p: number): string {
  return p < 1e-6 ? 'p < 1e-6' : `p ${p < 0.001 ? p.toExponential(1) : p.toFixed(4)}`;
}

/** `2026-11-23 05:54`, UTC. */
export function timeWords(startedAt: string): string {
  return plain(startedAt).slice(0, 16).replace('T', ' ');
}

/** `near 8f2c1ab0, after 1b2c3d4e`. */
export function nearWords({ commit, previousCommit }: Change): string {
  if (commit === null) return 'commit unknown';
  const near = `near ${shortCommit(commit)}`;
  if (previousCommit === null) return near;
  return previousCommit === commit ? `${near}, the same as before: not by a commit` : `${near}, after ${shortCommit(previousCommit)}`;
}

export function commitWords({ commit, dirty }: TrendRun): string {
  return commit === null ? '-' : shortCommit(commit) + (dirty ? '+' : '');
}

/** Of a database that others write to, too, not everything need be one. */
function shortCommit(commit: string): string {
  return plain(commit).slice(0, 8);
}

/** `up` or `down`, and what that means. */
export function wayWords({ before, after, verdict }: Change): string {
  return `${after > before ? '▲' : '▼'} ${verdict}`;
}

/** `udmabuf-4k-60hz: 24 runs, 2 left out (disturbed)`. */
export function runWords({ runs }: Trend): string {
  const left = runs.filter(({ excluded }) => excluded !== null).length;
  return `${runs.length} ${runs.length === 1 ? 'run' : 'runs'}${left === 0 ? '' : `, ${left} left out`}`;
}

/** Counted runs below which no trend can show a change: it takes two on each side. */
const LEAST_RUNS = 4;

function countedRuns({ runs }: Trend): number {
  return runs.filter(({ excluded }) => excluded === null).length;
}

/** Whether a trend has so many counted runs that a change could show. */
export function canChange(trend: Trend): boolean {
  return countedRuns(trend) >= LEAST_RUNS;
}

/** Of a trend without a change: `no change`, or that it has too few runs to have one. */
export function unchangedWords(trend: Trend): string {
  return canChange(trend) ? 'no change' : `too few runs to judge: ${countedRuns(trend)} counted, a change takes two on each side`;
}

/** `36.1 → 41.9`. */
export function levelWords({ before, after }: Change): string {
  return `${compact(before)} → ${compact(after)}`;
}
