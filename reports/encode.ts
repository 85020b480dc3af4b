import { ABSENT } from './columns.ts';
import { compact, duration, sizeName } from './format.ts';
import type { Scenario } from './run-document.ts';
import type { Group } from './summary.ts';

export const ENCODE_TITLE = 'Encoding (H.264), frames a second and CPU time a frame';
export const ENCODE_HEADS = ['path', 'size', 'rate', 'fps', 'of alone', 'copies', 'gather', 'convert', 'encode', 'packet', 'p99'] as const;
/** How many of the columns, from the first, are words. */
export const ENCODE_WORDS = 3;

/** Cells of the table; none where nothing was encoded. */
export function encodeRows(groups: readonly Group[]): string[][] {
  return groups.flatMap(({ scenarios }) => scenarios.flatMap((scenario) => cellsOf(scenario)));
}

function cellsOf({ path, width, height, rateHz, results, encoder }: Scenario): string[][] {
  const { encode } = results;
  if (encode === undefined) return [];
  const ms = (us: number | undefined): string => (us === undefined ? ABSENT : (us / 1000).toFixed(us < 99_950 ? 2 : 0));
  return [
    [
      path + (results.disturbed ? '*' : ''),
      sizeName(width, height),
      rateHz === null ? 'max' : String(rateHz),
      compact(encode.fps),
      encoder?.toAlone ? encoder.toAlone.median.toFixed(2) : ABSENT,
      encode.transferUs === 0 ? ABSENT : ms(encode.transferUs),
      encode.gatherCpuUs === 0 ? ABSENT : ms(encode.gatherCpuUs),
      ms(encode.conversionCpuUs),
      ms(encode.encodingCpuUs),
      ms(encode.submitToPacketUs?.p50),
      ms(encode.submitToPacketUs?.p99),
    ],
  ];
}

/** What the columns mean, by what was encoded, and what the library copies by itself. Empty where nothing was. */
export function encodeNotes(groups: readonly Group[]): string[] {
  const all = groups.flatMap(({ scenarios }) => scenarios.filter(({ encoder }) => encoder !== undefined));
  if (all.length === 0) return [];
  const names = [...new Set(all.flatMap(({ encoder }) => encoder?.name ?? []))].join('; ');
  const devices = [...new Set(all.flatMap(({ encoder }) => encoder?.devices ?? []))];
  const held = all.flatMap(({ results }) => results.encode?.heldUs?.p50 ?? []);
  return [
    'ms. fps: packets a second; of alone: over those of the encoder by itself with a still picture, just before. copies: by guest ' +
      'and host; gather: scattered pages put together. packet, p99: from the submission (fixed rate: from when due) to the packet.',
    `By ${names}. The library takes each converted picture into memory of its own: 1.5 bytes a pixel, which no path is spared.`,
    held.length === 0
      ? ''
      : `The guest has its buffer back after ${duration(Math.min(...held))} to ${duration(Math.max(...held))} (medians), before the packet is out.`,
    devices.length === 0
      ? 'Hardware that could encode: none could be opened.'
      : `Hardware that could encode, and was not used: ${devices.join(', ')}.`,
  ].filter((note) => note !== '');
}
