import type { Check, RunDocument, SkippedScenario } from './run-document.ts';

const ROUTINE = / (copies \d+ bytes a frame|tears no frame)$/;

/** The checks that a rendering lists: of a partial run not those that only say again which scenarios have no results. */
export function shownChecks(run: RunDocument): Check[] {
  return run.partial ? run.checks.filter((check) => !isAbout(check, run.skipped)) : run.checks;
}

/** Whether a check says only that a scenario without results did not run. */
export function isAbout(check: Check, skipped: readonly SkippedScenario[]): boolean {
  return skipped.some(({ id }) => check.name === `${id} runs`);
}

/** Passed, and one that says the same of every scenario: worth a count, not a line. */
export function isRoutine(check: Check): boolean {
  return check.status === 'pass' && ROUTINE.test(check.name);
}

/** Whether a check makes the run invalid: a failed one does, an inconclusive one only where vblanks were to be counted. */
export function invalidates(check: Check): boolean {
  return check.status === 'fail' || (check.status === 'inconclusive' && check.name.includes('vblank'));
}
