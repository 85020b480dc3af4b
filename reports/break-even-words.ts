import type { BreakEven } from './break-even.ts';
import { firstFrameBytes } from './break-even.ts';
import { byteSize, counted, duration, grouped, rateName, sizeName } from './format.ts';
import { PATHS, REPLACED_PATH } from './run-document.ts';
import type { Table } from './table.ts';

export const BREAK_EVEN_TITLE = 'From when importing pays';
export const BREAK_EVEN_NOTE = "Import: the host's work for one buffer. What the replaced path imports itself is not held against it.";

export function isDisturbed({ imported, replaced }: BreakEven): boolean {
  return imported.results.disturbed || replaced.results.disturbed;
}

/** Those at one rate, that of the first: latencies of a paced run and of one at max rate are not the same work. */
export function ofFirstRate(all: readonly BreakEven[]): BreakEven[] {
  return all.filter(({ imported }) => imported.rateHz === all[0].imported.rateHz);
}

/** For each importing path, when its import is paid at the largest size, and from which size by the first frame. @param points of one rate */
export function breakEvenSentences(points: readonly BreakEven[]): string[] {
  return PATHS.flatMap((path) => {
    const own = points.filter(({ imported }) => imported.path === path);
    return own.length === 0 ? [] : [sentence(own)];
  });
}

export function breakEvenTable(all: readonly BreakEven[]): Table {
  return {
    heads: ['size and rate', 'path', 'one import', 'saved a frame', 'frames to pay', 'all buffers paid after'],
    rows: all.map((each) => [
      each.group.label,
      each.imported.path + (isDisturbed(each) ? '*' : ''),
      duration(each.importUs),
      each.savedUs > 0 ? duration(each.savedUs) : `−${duration(-each.savedUs)}`,
      each.frames === null ? 'never' : grouped(each.frames),
      each.paidAfterUs === null ? '-' : duration(each.paidAfterUs),
    ]),
    words: 2,
  };
}

function sentence(points: readonly BreakEven[]): string {
  const { imported, importUs, savedUs, frames, paidAfterUs } = points[0];
  const path = imported.path + (points.some(isDisturbed) ? ' (disturbed)' : '');
  const cost = `${path}, ${sizeName(imported.width, imported.height)}: importing a buffer costs ${duration(importUs)} once`;
  if (frames === null) return `${cost} and saves nothing against ${REPLACED_PATH}.`;
  const when = frames === 1 ? 'with its first frame' : `after ${counted(frames, 'frame', 'frames')}`;
  const after =
    paidAfterUs === null ? '' : ` (${buffersWords(imported.buffers)} within ${duration(paidAfterUs)} at ${rateName(imported.rateHz)})`;
  return `${cost} and each frame saves ${duration(savedUs)} against ${REPLACED_PATH}: paid ${when}${after}.${smallerWords(points)}`;
}

function smallerWords(points: readonly BreakEven[]): string {
  const from = firstFrameBytes(points);
  if (from === null) return '';
  if (from < 4096) return ' A line through the measured sizes finds no size at which the first frame would not pay.';
  return ` A line through the measured sizes: the first frame pays from ${byteSize(from)} (${wideSize(from)} pixels); smaller frames need their buffer to be shown more often.`;
}

function buffersWords(count: number): string {
  return count === 1 ? 'the buffer' : count === 2 ? 'both buffers' : `all ${grouped(count)} buffers`;
}

/** About the 16:9 frame of so many bytes, 4 a pixel. */
function wideSize(bytes: number): string {
  const width = Math.sqrt((bytes / 4) * (16 / 9));
  return `about ${Math.round(width)}x${Math.round((width * 9) / 16)}`;
}
