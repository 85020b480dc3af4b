import { ABSENT } from './columns.ts';
import type { ScenarioEncoder } from './encode-document.ts';
import { compact, duration, sizeName } from './format.ts';
import type { Scenario } from './run-document.ts';
import type { Group } from './summary.ts';

export const ENCODE_TITLE = 'Encoding (H.264), frames a second and CPU time a frame';
export const ENCODE_HEADS = ['path', 'size', 'rate', 'fps', 'ratio', 'copies', 'gather', 'convert', 'encode', 'packet', 'p99'] as const;
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

/** By which hardware, and why not by other. */
function hardwareNotes(encoders: readonly ScenarioEncoder[]): string[] {
  // Runs from before hardware was used say nothing of it but this.
  const before = encoders.filter(({ notUsed }) => notUsed === undefined);
  const asked = encoders.filter(({ notUsed }) => notUsed !== undefined);
  const present = listed(before.flatMap(({ devices }) => devices));
  const used = listed(asked.flatMap(({ devices }) => devices));
  const refused = listed(asked.flatMap(({ notUsed }) => notUsed ?? []));
  return [
    used === '' ? '' : `Hardware that has encoded: ${used}. Of it convert and encode are the CPU's part; packet has all of it.`,
    refused === '' ? '' : `Hardware that was not used: ${refused}.`,
    asked.length > 0 && used + refused === '' ? 'No hardware was asked to encode.' : '',
    present === '' ? '' : `Hardware that could encode, and was not used: ${present}.`,
    before.length > 0 && present === '' ? 'Hardware that could encode: none could be opened.' : '',
  ];
}

const listed = (words: readonly string[]): string => [...new Set(words)].join('; ');

const spanWords = (least: string, most: string): string => (least === most ? `${least} (median)` : `${least} to ${most} (medians)`);

/** What the columns mean, by what was encoded, and what the library copies by itself. Empty where nothing was. */
export function encodeNotes(groups: readonly Group[]): string[] {
  const all = groups.flatMap(({ scenarios }) => scenarios.filter(({ encoder }) => encoder !== undefined));
  if (all.length === 0) return [];
  const names = [...new Set(all.flatMap(({ encoder }) => encoder?.name ?? []))].join('; ');
  const held = all.flatMap(({ results }) => results.encode?.heldUs?.p50 ?? []);
  return [
    'ms. fps: packets a second; ratio: over those of the encoder by itself with a still picture, just before. copies: by guest ' +
      'and host, elapsed (the guest’s at a fixed rate: from when due); gather: scattered pages put together, convert, encode: CPU time. ' +
      'packet, p99: from the submission (fixed rate: from when due) to the packet.',
    `By ${names}. The library takes each converted picture into memory of its own: 1.5 bytes a pixel, which no path is spared.`,
    held.length === 0
      ? ''
      : `The encoder reads a buffer for ${spanWords(duration(Math.min(...held)), duration(Math.max(...held)))} and gives it back before the packet is out.`,
    ...hardwareNotes(all.flatMap(({ encoder }) => encoder ?? [])),
  ].filter((note) => note !== '');
}
