import { isAbout, shownChecks } from './checks.ts';
import { counted, grouped, plain } from './format.ts';
import { rowName } from './row-name.ts';
import type { RunDocument, Scenario } from './run-document.ts';
import { NOT_REACHED } from './run-document.ts';
import type { Group } from './summary.ts';

/** What a reader must know before believing the figures, one line each. Of a partial run the first says so. */
export function warningsOf(run: RunDocument, groups: readonly Group[]): string[] {
  const warnings: string[] = [];
  if (run.partial) warnings.push(partialWords(run));
  if (run.scenarios.length === 0) warnings.push('No scenario has results.');
  const disturbed = disturbedWords(groups);
  if (disturbed !== '') warnings.push(disturbed);
  for (const group of groups) {
    for (const scenario of group.scenarios) {
      for (const fault of faultsOf(scenario)) warnings.push(`${rowName(scenario)}, ${group.label}: ${fault}`);
    }
  }
  for (const check of shownChecks(run)) {
    // One that is about a scenario without results is said below.
    if (check.status === 'pass' || isAbout(check, run.skipped)) continue;
    warnings.push(`Check ${check.status === 'fail' ? 'failed' : 'inconclusive'}: ${plain(check.name)}: ${plain(check.detail)}`);
  }
  warnings.push(...skippedWords(run));
  return warnings;
}

function partialWords(run: RunDocument): string {
  const asked = counted(run.scenarios.length + run.skipped.length, 'scenario has', 'scenarios have');
  return `Partial run: ${plain(run.partialReason ?? 'it ended early')}: ${grouped(run.scenarios.length)} of ${asked} results.`;
}

/** `… : vfio, copy at 4K 60 Hz; all at 1080p 60 Hz.` */
function disturbedWords(groups: readonly Group[]): string {
  let count = 0;
  const places: string[] = [];
  for (const group of groups) {
    const paths = group.scenarios.filter((scenario) => scenario.results.disturbed).map(rowName);
    count += paths.length;
    const names = paths.length > 1 && paths.length === group.scenarios.length ? 'all' : paths.join(', ');
    if (paths.length > 0) places.push(`${names} at ${group.label.replace(' at ', ' ')}`);
  }
  if (count === 0) return '';
  const total = groups.reduce((sum, group) => sum + group.scenarios.length, 0);
  const which = count === total && count > 1 ? `all ${grouped(count)} scenarios` : places.join('; ');
  return `Disturbed (the machine was busy in every repetition), times not to be trusted: ${which}.`;
}

/** One line a reason. Scenarios that a stopped run did not come to are counted in its first line. */
function skippedWords(run: RunDocument): string[] {
  const byReason = new Map<string, string[]>();
  for (const { id, reason } of run.skipped) {
    if (run.partial && reason === NOT_REACHED) continue;
    byReason.set(reason, [...(byReason.get(reason) ?? []), plain(id)]);
  }
  return [...byReason].map(([reason, ids]) => `No results for ${ids.join(', ')}: ${plain(reason)}`);
}

function faultsOf(scenario: Scenario): string[] {
  const { results } = scenario;
  const faults: string[] = [];
  if ((results.framesTorn ?? 0) > 0)
    faults.push(`${grouped(results.framesTorn ?? 0)} of ${grouped(results.framesVerified)} verified frames were torn.`);
  if (results.framesTimedOut > 0) faults.push(`${counted(results.framesTimedOut, 'frame', 'frames')} timed out waiting for the fence.`);
  if (results.errorResponses > 0) faults.push(`${counted(results.errorResponses, 'error response', 'error responses')} from the host.`);
  if (results.fallback !== null) faults.push(`fell back to copying: ${plain(results.fallback.reason)}`);
  if (scenario.faults !== undefined) {
    const { injected, times, counters } = scenario.faults;
    const told = Object.entries(counters).map(([name, value]) => `${plain(name)} ${grouped(value)}`);
    if (injected.length > 0)
      faults.push(`faults injected ${counted(times, 'time', 'times')}; ${told.join(', ') || 'nothing was counted'}.`);
  }
  for (const failure of new Set(scenario.workerFailures)) {
    const times = scenario.workerFailures.filter((one) => one === failure).length;
    faults.push(`a worker failed${times === 1 ? '' : ` ${grouped(times)} times`}: ${plain(failure)}`);
  }
  return faults;
}
