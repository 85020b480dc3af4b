import { RING_KINDS } from './plan.ts';
import type { FuzzOutcome, PartFigures } from './run.ts';

/** What each part's inputs are. */
const WHAT = {
  model: 'command sequences against the model',
  traces: 'recorded guests, changed',
  race: 'episodes against a racing driver',
} as const;
/** Lines of a failing input that are printed; the file has all. */
const MOST_LINES = 12;
const COLUMNS = 80;

/** The outcome for a terminal of 80 columns. */
export function fuzzText({ seed, seconds, parts, chains, broken, failure, interrupted }: FuzzOutcome): string {
  const lines = [`fuzz, seed ${seed}: ${seconds.toFixed(1)} s${interrupted ? ', stopped' : ''}`, ''];
  for (const name of ['model', 'traces', 'race'] as const) {
    const { inputs } = parts[name];
    if (inputs === 0) continue;
    lines.push(`  ${name.padEnd(8)}${String(inputs).padStart(8)} ${WHAT[name].padEnd(38)}${rate(parts[name])}`);
  }
  if (chains > 0) lines.push(`          ${' '.repeat(7)}${chains} chains taken, ${broken} rings broken`);
  lines.push('');
  if (failure === null && played(parts) === 0) {
    lines.push('Nothing was played: no input came to its end. Give it more --seconds.');
  } else if (failure === null) {
    lines.push('No exception, hang, leak, escape or wrong frame was found.');
  } else {
    const { round, found } = failure;
    const { ring, inOrder } = RING_KINDS[round.kind];
    lines.push(`FOUND by ${round.part} on the ${ring} ring${inOrder ? ', in order' : ''}:`, `  ${found.message}`, '');
    const input = found.input.split('\n');
    for (const line of input.slice(0, MOST_LINES)) lines.push(`  ${line}`.slice(0, COLUMNS));
    if (input.length > MOST_LINES) lines.push(`  … ${input.length - MOST_LINES} lines more`);
  }
  return `${lines.join('\n')}\n`;
}

/** Inputs of all parts that came to their end. */
export const played = (parts: FuzzOutcome['parts']): number => parts.model.inputs + parts.traces.inputs + parts.race.inputs;

const rate = ({ inputs, seconds }: PartFigures): string => `${(inputs / Math.max(seconds, 0.001)).toFixed(0).padStart(6)} a second`;
