import { ABSENT } from './columns.ts';
import { grouped, ratioWords } from './format.ts';
import type { PathGain } from './run-document.ts';
import type { Table } from './table.ts';

export const GAINS_TITLE = 'Gain of each zero-copy path over each that copies';
export const GAINS_NOTE =
  'gain: frames encoded a second over those of the other path, repetition by repetition, median [95% interval]. predicted: by the CPU ' +
  'times of a frame in the same repetitions (whether they explain the gain; no forecast); inside: whether that lies in the interval. ' +
  'copies: the time that the other path’s copies take, of the CPU time of converting and encoding a frame.';

/** Fewer pairs make no interval that says anything. */
export const CONCLUSIVE_PAIRS = 5;

/** A row a comparison. */
export function gainTable(gains: readonly PathGain[]): Table {
  return {
    heads: ['size', 'path', 'over', 'gain [95%]', 'predicted', 'inside', 'copies', 'pairs'],
    rows: gains.map(({ size, path, over, ratio, predicted, copiesShare }) => [
      size,
      path,
      over,
      ratioWords(ratio),
      predicted === null ? ABSENT : predicted.toFixed(2),
      insideWord(ratio, predicted),
      copiesShare === null ? ABSENT : `${(100 * copiesShare).toFixed(0)}%`,
      ratio.pairs === undefined ? ABSENT : grouped(ratio.pairs),
    ]),
    words: 3,
  };
}

function insideWord({ low, high, pairs = 0 }: PathGain['ratio'], predicted: number | null): string {
  if (predicted === null || pairs < CONCLUSIVE_PAIRS) return ABSENT;
  return predicted >= low && predicted <= high ? 'yes' : 'no';
}
