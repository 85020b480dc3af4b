import { invalidates, shownChecks } from '../checks.ts';
import { counted, grouped } from '../format.ts';
import type { RunDocument } from '../run-document.ts';
import type { Markup } from './escape.ts';
import { html } from './escape.ts';

/** Whether the run is to be believed, before anything that it found: a sign, a word and the reason. */
export function statusLine(run: RunDocument): Markup {
  const checks = shownChecks(run);
  const broken = checks.filter(invalidates).length;
  const open = checks.filter((check) => check.status === 'inconclusive' && !invalidates(check)).length;
  const disturbed = run.scenarios.filter(({ results }) => results.disturbed).length;
  const passed = `${grouped(checks.length - broken - open)} of ${counted(checks.length, 'check', 'checks')} passed`;
  const line = (kind: 'pass' | 'fail' | 'inconclusive', sign: string, word: string, why: string): Markup =>
    html`<p id="status" class="status-line"><strong class="${kind}"><span aria-hidden="true">${sign}</span> ${word}</strong> ${why}</p>`;
  if (broken > 0)
    return line('fail', '✗', 'Not to be believed:', `${counted(broken, 'check makes', 'checks make')} the run invalid; ${passed}.`);
  const reasons = [
    run.partial ? 'it ended early' : '',
    run.scenarios.length === 0 ? 'it has no results' : '',
    open > 0 ? `${counted(open, 'check was', 'checks were')} inconclusive` : '',
    disturbed > 0 ? `disturbed: ${grouped(disturbed)} of ${counted(run.scenarios.length, 'scenario', 'scenarios')}` : '',
  ].filter((reason) => reason !== '');
  if (checks.length === 0) reasons.push('nothing was checked');
  if (reasons.length > 0) return line('inconclusive', '△', 'To be read with care:', `${reasons.join('; ')}. ${passed}.`);
  return line('pass', '✓', 'Valid run:', `${passed}.`);
}
