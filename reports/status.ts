import { invalidates, shownChecks } from './checks.ts';
import { counted, grouped } from './format.ts';
import type { Check, RunDocument } from './run-document.ts';

/** Whether a run is to be believed: a sign, a word and the reason. */
export interface Status {
  kind: Check['status'];
  sign: string;
  word: string;
  why: string;
}

export function statusOf(run: RunDocument): Status {
  const checks = shownChecks(run);
  const broken = checks.filter(invalidates).length;
  const open = checks.filter((check) => check.status === 'inconclusive' && !invalidates(check)).length;
  const disturbed = run.scenarios.filter(({ results }) => results.disturbed).length;
  const passed = `${grouped(checks.length - broken - open)} of ${counted(checks.length, 'check', 'checks')} passed`;
  if (broken > 0) {
    const why = `${counted(broken, 'check makes', 'checks make')} the run invalid; ${passed}.`;
    return { kind: 'fail', sign: '✗', word: 'Not to be believed:', why };
  }
  const reasons = [
    run.partial ? 'it ended early' : '',
    run.scenarios.length === 0 ? 'it has no results' : '',
    open > 0 ? `${counted(open, 'check was', 'checks were')} inconclusive` : '',
    disturbed > 0 ? `disturbed: ${grouped(disturbed)} of ${counted(run.scenarios.length, 'scenario', 'scenarios')}` : '',
    checks.length === 0 ? 'nothing was checked' : '',
  ].filter((reason) => reason !== '');
  if (reasons.length > 0)
    return { kind: 'inconclusive', sign: '△', word: 'To be read with care:', why: `${reasons.join('; ')}. ${passed}.` };
  return { kind: 'pass', sign: '✓', word: 'Valid run:', why: `${passed}.` };
}
