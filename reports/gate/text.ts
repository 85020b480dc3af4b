import { cell, changeWords, wrapped } from '../compare/text.ts';
import { compact, counted, plain } from '../format.ts';
import { isTimed, type Outcome } from './evaluate.ts';

export interface GateDocument {
  readonly state: Outcome['state'];
  /** One line: what decided it. */
  readonly reason: string;
  readonly outcomes: readonly Outcome[];
  readonly notes: readonly string[];
}

const MARKS: Readonly<Record<Outcome['state'], string>> = { pass: '✓', fail: '✗', inconclusive: '?' };

/** Of fewer values than this even their whole range is no 99% interval. */
const RANGE_ONLY = 8;
/** GitHub takes 1 MiB of a job summary: far more than so many lines of a table. */
const MOST_ROWS = 1000;
const ORDER: readonly Outcome['state'][] = ['fail', 'inconclusive', 'pass'];

/** One threshold that fails fails the gate; the reason names the first, or how many hold. Nothing asked is nothing passed. */
export function concludeGate(outcomes: readonly Outcome[], notes: readonly string[]): GateDocument {
  if (outcomes.length === 0) return { state: 'inconclusive', reason: 'gate inconclusive: no threshold was asked', outcomes, notes };
  for (const state of ['fail', 'inconclusive'] as const) {
    const [first, ...others] = outcomes.filter((outcome) => outcome.state === state);
    if (first === undefined) continue;
    const more = others.length > 0 ? `, and ${others.length} more` : '';
    const words = state === 'fail' ? 'failed' : 'inconclusive';
    return {
      state,
      reason: `gate ${words}: ${first.scenario}: ${first.threshold.text}, measured ${figureWords(first)}${more}`,
      outcomes,
      notes,
    };
  }
  return { state: 'pass', reason: `gate passed: ${counted(outcomes.length, 'threshold holds', 'thresholds hold')}`, outcomes, notes };
}

/** `+12.1% [+9.0%, +15.3%]`, or values for an absolute bound. */
function figureWords({ threshold, value, low, high }: Outcome): string {
  const words = threshold.relative ? changeWords : compact;
  return low === high ? words(value) : `${words(value)} [${words(low)}, ${words(high)}]`;
}

/** The reason on the first line, then each threshold. Ended by a newline. */
export function gateText({ reason, outcomes, notes }: GateDocument): string {
  const lines = [plain(reason), ''];
  for (const outcome of outcomes) {
    const { scenario, threshold, state } = outcome;
    lines.push(
      ...wrapped(`${MARKS[state]} `, `${plain(scenario)}: ${threshold.text}`),
      `    ${figureWords(outcome)} ${sampleWords(outcome)}`,
    );
  }
  lines.push('', 'With 99% intervals. Failed: the interval lies beyond the threshold as a whole.');
  if (outcomes.some(({ threshold, samples }) => isTimed(threshold) && samples < RANGE_ONLY))
    lines.push(`Of fewer than ${RANGE_ONLY} values bounded by themselves the interval is their range.`);
  for (const note of notes) lines.push(...wrapped('! ', plain(note)));
  return `${lines.join('\n')}\n`;
}

/** For a job summary, what failed first. Ended by a newline. */
export function gateMarkdown({ state, reason, outcomes, notes }: GateDocument): string {
  const lines = [
    `### ${MARKS[state]} ${cell(reason)}`,
    '',
    '| scenario | threshold | measured, 99% interval | | n |',
    '| --- | --- | --- | --- | ---: |',
  ];
  const ordered = ORDER.flatMap((one) => outcomes.filter((outcome) => outcome.state === one));
  for (const outcome of ordered.slice(0, MOST_ROWS)) {
    const { scenario, threshold } = outcome;
    lines.push(
      `| ${cell(scenario)} | ${cell(threshold.text)} | ${cell(figureWords(outcome))} | ${MARKS[outcome.state]} ${outcome.state} | ${outcome.samples} |`,
    );
  }
  if (ordered.length > MOST_ROWS) lines.push('', `And ${counted(ordered.length - MOST_ROWS, 'more', 'more')}, of lesser import.`);
  if (notes.length > 0) lines.push('');
  for (const note of notes) lines.push(`- **Mind:** ${cell(note)}`);
  return `${lines.join('\n')}\n`;
}

function sampleWords({ paired, samples }: Outcome): string {
  return `(${paired ? counted(samples, 'pair', 'pairs') : counted(samples, 'repetition', 'repetitions')})`;
}
