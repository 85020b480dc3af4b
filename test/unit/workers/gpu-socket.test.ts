import { describe, expect, test } from 'vitest';
import { monotonicNowNs } from '../../../core/measure/clock.ts';
import { FrameColumn, FrameLog } from '../../../core/measure/frame-log.ts';
import { readDisplayInfo } from '../../../core/protocol/display-info.ts';
import { parseEdid } from '../../../core/protocol/edid.ts';
import { readEdid } from '../../../core/protocol/write-response.ts';
import { DISPLAY_COUNTS, DisplayCount, type DisplayLog, GpuDisplay, GpuRequest } from '../../../workers/vhost-user/gpu-socket.ts';

const WIDTH = 8;
const HEIGHT = 4;

/** Serves what a back end sends, then the end of the stream. */
function serve(sent: readonly number[], verify = true, heads = 2, log: DisplayLog | null = null) {
  const bytes = new Uint8Array(new Uint32Array(sent).buffer);
  const answers: Uint32Array[] = [];
  const counts = new SharedArrayBuffer(DISPLAY_COUNTS * 8);
  let at = 0;
  const display = new GpuDisplay(
    {
      read(into) {
        if (at + into.length > bytes.length) return false;
        into.set(bytes.subarray(at, at + into.length));
        at += into.length;
        return true;
      },
      write: (answer) => answers.push(new Uint32Array(answer.slice().buffer)),
    },
    { heads, width: WIDTH, height: HEIGHT, refreshHz: 60, verify, counts, log },
  );
  return { run: () => display.run(), answers, get: (count: number) => new Float64Array(counts)[count] };
}

const message = (request: number, ...payload: number[]): number[] => [request, 0, payload.length * 4, ...payload];
/** A whole frame whose rows begin with these words; the highest byte is nobody's. */
const update = (scanout: number, rows: readonly number[], width = WIDTH): number[] => {
  const pixels = rows.flatMap((stamp) => [(stamp | 0xff000000) >>> 0, ...new Array<number>(width - 1).fill(7)]);
  return message(GpuRequest.UPDATE, scanout, 0, 0, width, rows.length, ...pixels);
};
const whole = (scanout: number, stamp: number): number[] => update(scanout, new Array<number>(HEIGHT).fill(stamp));

describe('a display at a GPU socket', () => {
  test('notes when each stamped frame is there whole, and nothing of what carries no stamp', () => {
    const buffer = new SharedArrayBuffer(FrameLog.bytes(2, 4));
    const log = new FrameLog(buffer, 2, 4);
    const from = monotonicNowNs();
    const { run } = serve([...whole(1, 0), ...whole(1, 7), ...whole(0, 1)], true, 2, { buffer, capacity: 4, originNs: from });
    run();
    const shown = [0, 1].map((head) => [0, 1, 2, 3].map((frame) => log.cells[log.row(head, frame) + FrameColumn.present] > 0));
    expect(shown).toEqual([
      [true, false, false, false],
      [false, false, true, false],
    ]);
    const at = log.cells[log.row(1, 6) + FrameColumn.release];
    expect(at).toBeGreaterThan(0);
    expect(at).toBeLessThanOrEqual(monotonicNowNs() - from);
  });

  test('answers what is asked of it: features, displays, an EDID', () => {
    const { run, answers } = serve([
      ...message(GpuRequest.GET_PROTOCOL_FEATURES),
      ...message(GpuRequest.SET_PROTOCOL_FEATURES, 1, 0),
      ...message(GpuRequest.GET_DISPLAY_INFO),
      ...message(GpuRequest.GET_EDID, 1),
    ]);
    run();
    expect(answers.map(([request, flags, size]) => [request, flags, size])).toEqual([
      [1, 4, 8],
      [3, 4, 408],
      [11, 4, 1056],
    ]);
    const [, info, edid] = answers;
    const heads = readDisplayInfo(info, 3).filter(({ enabled }) => enabled);
    expect(heads.map(({ x, width, height }) => [x, width, height])).toEqual([
      [0, WIDTH, HEIGHT],
      [WIDTH, WIDTH, HEIGHT],
    ]);
    expect(parseEdid(readEdid(edid, 3))).toMatchObject({ width: WIDTH, height: HEIGHT });
  });

  test('frames that are whole and follow each other on their head are right', () => {
    const { run, get } = serve([...whole(0, 1), ...whole(1, 1), ...whole(0, 2), ...whole(1, 2)]);
    run();
    expect([get(DisplayCount.updates), get(DisplayCount.verified)]).toEqual([4, 4]);
    expect([get(DisplayCount.torn), get(DisplayCount.unordered)]).toEqual([0, 0]);
    expect(get(DisplayCount.bytes)).toBe(4 * WIDTH * HEIGHT * 4);
  });

  test('a row of another frame is a torn frame; a frame left out or repeated is out of order', () => {
    const torn = serve([...whole(0, 1), ...update(0, [2, 2, 1, 2])]);
    torn.run();
    expect([torn.get(DisplayCount.torn), torn.get(DisplayCount.unordered)]).toEqual([1, 0]);
    const left = serve([...whole(0, 1), ...whole(0, 3), ...whole(0, 3), ...whole(0, 4)]);
    left.run();
    expect([left.get(DisplayCount.torn), left.get(DisplayCount.unordered)]).toEqual([0, 2]);
  });

  test('pixels are not looked at unless asked for', () => {
    const { run, get } = serve([...update(0, [5, 6, 7, 8])], false);
    run();
    expect([get(DisplayCount.updates), get(DisplayCount.verified), get(DisplayCount.torn)]).toEqual([1, 0, 0]);
  });

  test.each([
    ['an unknown request', message(99), /request 99 is unknown/],
    ['a size that is not the request’s', message(GpuRequest.SCANOUT, 0), /request 7 has 4 bytes, not 12/],
    ['an update too short for its rectangle', message(GpuRequest.UPDATE, 0), /request 8 has 4 bytes, not 20/],
    ['more pixels than the rectangle has', message(GpuRequest.UPDATE, 0, 0, 0, 1, 1, 5, 6), /UPDATE of 1x1 with 8 bytes/],
    ['a rectangle larger than the display', update(0, new Array<number>(HEIGHT + 1).fill(1)), /larger than the display/],
    ['sides whose product is beyond all', message(GpuRequest.UPDATE, 0, 0, 0, 0xffffffff, 0xffffffff), /with 0 bytes of pixels/],
    ['a scanout that is not there', whole(2, 1), /UPDATE of scanout 2, of 2/],
  ])('%s ends it with a line', (_what, sent, why) => {
    expect(serve(sent).run).toThrow(why);
  });

  test('a hang-up in the middle of a message ends it quietly, whatever was promised', () => {
    const half = [...whole(0, 1), ...whole(0, 2).slice(0, -3)];
    const { run, get } = serve(half);
    run();
    expect(get(DisplayCount.updates)).toBe(1);
  });
});
