import { grouped, plain } from './format.ts';
import type { PairedRatio, RunDocument } from './run-document.ts';
import type { Table } from './table.ts';

export const PAIRS_TITLE = 'Side by side';

/** How to read the table, as far as it is about what this run's has. */
export function pairsNote({ pairs = [], scenarios }: RunDocument): string {
  return [
    'Ratios of neighbouring repetitions: median [95% interval].',
    pairs.some(({ measure }) => measure.startsWith('CPU')) ? 'CPU: of all threads of the host’s process.' : '',
    'Pairs that other programs disturbed are left out unless they are more than half.',
    pairs.some(({ ratio }) => ratio === null) ? 'A ratio takes two pairs at least.' : '',
    scenarios.some(({ host }) => host === 'qemu') ? 'What QEMU’s device copies is told by its source.' : '',
    pairs.some(({ goal }) => goal !== null) ? 'A goal is met or missed where the whole interval says so.' : '',
  ]
    .filter((words) => words !== '')
    .join(' ');
}

/** `met`, `missed`, `in doubt`: what the interval says of a goal; '' without a goal. A ratio takes two pairs with figures. */
export function goalVerdict({ ratio, goal }: PairedRatio): string {
  if (ratio === null) return 'too few pairs';
  if (goal === null) return '';
  const { low, high } = ratio;
  const [worst, best, least] = 'atLeast' in goal ? [low, high, goal.atLeast] : [-high, -low, -goal.atMost];
  return worst >= least ? 'met' : best < least ? 'missed' : 'in doubt';
}

/** A row a pair. */
export function pairTable(pairs: readonly PairedRatio[]): Table {
  const rows = pairs.map((pair) => {
    const { name, measure, ratio, goal } = pair;
    const verdict = goalVerdict(pair);
    const [sign, value] = goal === null ? ['', ''] : 'atLeast' in goal ? ['≥', figure(goal.atLeast)] : ['≤', figure(goal.atMost)];
    return [
      plain(name),
      plain(measure),
      ratio === null ? '-' : `${figure(ratio.median)} [${figure(ratio.low)}, ${figure(ratio.high)}]`,
      goal === null ? verdict : `${sign} ${value} ${verdict}`,
    ];
  });
  const heads = ['', 'ratio of', 'median [95%]', pairs.some(({ goal }) => goal !== null) ? 'goal' : ''];
  // Where nothing is asked of the ratios, that column is empty.
  return rows.every((cells) => cells.at(-1) === '')
    ? { heads: heads.slice(0, -1), rows: rows.map((cells) => cells.slice(0, -1)), words: 2 }
    : { heads, rows, words: 2 };
}

/** How many pairs there are, in words; '' where there are none. */
export function pairsWords({ pairs }: RunDocument): string {
  const counts = (pairs ?? []).flatMap(({ ratio }) => ratio?.pairs ?? []);
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  if (counts.length === 0) return '';
  return least === most ? `${grouped(most)} pairs each` : `${grouped(least)} to ${grouped(most)} pairs each`;
}

/** Three digits that tell: 577, 1.34, 0.0023. */
function figure(value: number): string {
  if (value >= 100) return grouped(value);
  return value >= 10 ? value.toFixed(1) : value >= 0.095 ? value.toFixed(2) : String(Number(value.toPrecision(2)));
}
