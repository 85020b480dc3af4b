import { ABSENT } from './columns.ts';
import { compact, grouped, sizeName } from './format.ts';
import type { Scenario } from './run-document.ts';
import type { Group } from './summary.ts';

export const GLASS_TITLE = 'Glass to glass: until a browser has drawn the frame';
export const GLASS_HEADS = ['path', 'size', 'rate', 'shown', 'of all', 'p50 ms', 'p99 ms', 'packet', '± clocks', 'lost', 'alone'] as const;
/** How many of the columns, from the first, are words. */
export const GLASS_WORDS = 3;

/** Cells of the table; none where no browser showed anything. */
export function glassRows(groups: readonly Group[]): string[][] {
  return groups.flatMap(({ scenarios }) => scenarios.flatMap((scenario) => cellsOf(scenario)));
}

function cellsOf({ path, width, height, rateHz, results }: Scenario): string[][] {
  const { glass, encode } = results;
  if (glass === undefined) return [];
  const ms = (us: number | undefined, digits: number): string => (us === undefined ? ABSENT : (us / 1000).toFixed(digits));
  return [
    [
      path + (results.disturbed ? '*' : ''),
      sizeName(width, height),
      rateHz === null ? 'max' : String(rateHz),
      compact(glass.fps),
      glass.guestFrames ? `${((100 * glass.shown) / glass.guestFrames).toFixed(0)}%` : ABSENT,
      ms(glass.p50Us, 1),
      ms(glass.p99Us, 1),
      ms(encode?.submitToPacketUs?.p50, 1),
      ms(glass.offsetErrorUs, 2),
      grouped(glass.lost),
      encode?.aloneFps ? compact(encode.aloneFps) : ABSENT,
    ],
  ];
}

/** What the columns mean; '' where no browser showed anything. */
export function glassNote(groups: readonly Group[]): string {
  if (glassRows(groups).length === 0) return '';
  return (
    'shown: frames a second, their numbers read from the decoded pictures; of all: of the guest’s frames. One that gave way to a later ' +
    'one, before the encoder or in the page, has no time and is in no percentile. p50, p99: from the submission (fixed rate: from when ' +
    'due) until the page had drawn the picture on its canvas: the browser’s compositor and the display come on top. packet: the part ' +
    'of it until the packet was out (median). ± clocks: the most that the two clocks’ offset can be estimated wrongly by. lost: frames ' +
    'not sent, because too much waited for the browser. alone: frames a second of ' +
    'the encoder by itself with a still picture, just before. Browser and encoder share the CPUs.'
  );
}
