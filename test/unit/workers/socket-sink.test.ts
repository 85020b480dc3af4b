import { closeSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FrameFlag } from '../../../core/measure/frame-log.ts';
import { CopyStage, Ledger } from '../../../core/memory/ledger.ts';
import { createSharedMemory, MemoryRegion } from '../../../core/memory/region.ts';
import { SegmentList } from '../../../core/memory/segments.ts';
import type { ScanoutImage } from '../../../core/sink/sink.ts';
import { Libc } from '../../../workers/native/libc.ts';
import { FdSocket } from '../../../workers/native/socket.ts';
import { SocketSink } from '../../../workers/vhost-user/socket-sink.ts';

const loaded = Libc.load();
const now = new Float64Array([1000]);

describe.skipIf(typeof loaded === 'string')('a sink that sends frames through a GPU socket', () => {
  const libc = loaded as Libc;
  let ledger: Ledger;
  let sink: SocketSink;
  let own: number;
  let other: number;
  let reader: FdSocket;

  beforeEach(() => {
    ledger = new Ledger();
    sink = new SocketSink(libc, 2, ledger);
    [own, other] = libc.socketpair();
    reader = new FdSocket(libc, other, 1 << 20);
  });
  afterEach(() => {
    closeSync(own);
    if (other >= 0) closeSync(other);
  });

  /** An image whose pixel i is base + i, in pieces of `piece` bytes, last piece first, rows `stride` bytes apart. */
  const image = (
    width: number,
    height: number,
    options: { id?: number; stride?: number; piece?: number; base?: number } = {},
  ): ScanoutImage => {
    const { id = 2, stride = width * 4, piece = stride * height, base = 0 } = options;
    const bytes = stride * height;
    const size = Math.ceil(bytes / 4096) * 4096;
    const region = new MemoryRegion({
      ...({ id: 0, name: 'ram', kind: 'ram', gpa: 0, size, device: null, bar: null } as const),
      memory: createSharedMemory(size),
    });
    const segments = new SegmentList();
    for (let at = 0; at < bytes; at += piece)
      segments.append(region, bytes - at - Math.min(piece, bytes - at), Math.min(piece, bytes - at));
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const source = y * stride + x * 4;
        const i = segments.find(source);
        region.u32[(segments.offset[i] + source - segments.start[i]) / 4] = base + y * width + x;
      }
    }
    return { width, height, stride, offset: 0, format: 2, segments, imported: true, resourceId: id };
  };
  /** What has come, as words; the sink goes on as its session would let it. */
  const words = (bytes: number): number[] => {
    const got = new Uint8Array(bytes);
    for (let at = 0; at < bytes; ) {
      const n = reader.receive(got, at, bytes - at, []);
      if (n === 0) throw new Error('the sink hung up');
      if (n > 0) at += n;
      else if (sink.pollFd === own) sink.ready(now);
      else throw new Error(`${at} of ${bytes} bytes came`);
    }
    return [...new Uint32Array(got.buffer)];
  };
  const released = (): [number, number, number][] =>
    Array.from({ length: sink.pollReleases(now) }, (_, i) => [sink.releasedScanout[i], sink.releasedFrame[i], sink.releasedFlags[i]]);
  const upTo = (from: number, count: number): number[] => Array.from({ length: count }, (_, i) => from + i);

  test.each([
    ['in one piece', {}],
    ['with rows apart', { stride: 64 }],
    ['in pieces that end within rows', { piece: 20 }],
  ])('tells a size, then sends the pixels of a frame %s, and charges them once', (_what, options) => {
    sink.setSocket(own);
    sink.setScanout(1, image(8, 6, { ...options, base: 100 }));
    sink.present(1, 7, now);
    expect(released()).toEqual([[1, 7, 0]]);
    expect(words(24)).toEqual([7, 0, 12, 1, 8, 6]);
    expect(words(32)).toEqual([8, 0, 20 + 192, 1, 0, 0, 8, 6]);
    expect(words(192)).toEqual(upTo(100, 48));
    expect(ledger.bytesCopied(CopyStage.upload)).toBe(192);
    expect(sink.presentedNs[0]).toBe(1000);
    // The same size is not told again.
    sink.present(1, 8, now);
    expect(released()).toEqual([[1, 8, 0]]);
    expect(words(32)[0]).toBe(8);
  });

  test('holds a large frame until its last byte is taken, and of those that come meanwhile keeps the latest', () => {
    sink.setSocket(own);
    sink.setScanout(0, image(1024, 1024, { base: 1 }));
    sink.present(0, 0, now);
    expect(released()).toEqual([]);
    expect(sink.pollFd).toBe(own);
    expect(sink.holds(2)).toBe(true);
    sink.present(0, 1, now);
    sink.present(0, 2, now);
    expect(released()).toEqual([[0, 1, FrameFlag.superseded]]);
    words(24 + 32);
    expect(words(1024 * 1024 * 4)).toEqual(upTo(1, 1024 * 1024));
    expect(released()).toEqual([[0, 0, 0]]);
    words(32 + 1024 * 1024 * 4);
    expect(released()).toEqual([[0, 2, 0]]);
    expect([sink.pollFd, sink.holds(2), sink.deadline[0]]).toEqual([-1, false, Number.POSITIVE_INFINITY]);
  });

  test('a frame whose buffer goes is released at once; the rest of its message is zeros', () => {
    sink.setSocket(own);
    sink.setScanout(0, image(1024, 1024, { base: 1 }));
    sink.present(0, 0, now);
    released();
    sink.present(0, 1, now);
    sink.stop(2);
    expect(released()).toEqual([
      [0, 1, FrameFlag.superseded],
      [0, 0, FrameFlag.superseded],
    ]);
    expect(sink.holds(2)).toBe(false);
    words(24 + 32);
    const pixels = words(1024 * 1024 * 4);
    expect([pixels[0], pixels.at(-1)]).toEqual([1, 0]);
    // And the stream goes on.
    sink.setScanout(0, image(4, 2, { id: 3, base: 9 }));
    sink.present(0, 2, now);
    released();
    expect(words(24)).toEqual([7, 0, 12, 0, 4, 2]);
    expect(words(32 + 32).slice(8)).toEqual(upTo(9, 8));
  });

  test('without a socket, with one that went, or with an image past its buffer, frames are released at once', () => {
    sink.setScanout(0, image(8, 8));
    sink.present(0, 0, now);
    expect(released()).toEqual([[0, 0, 0]]);
    sink.setSocket(own);
    closeSync(other);
    other = -1;
    sink.present(0, 1, now);
    expect(released().map(([, frame]) => frame)).toEqual([1]);
    expect(sink.pollFd).toBe(-1);
    const short = image(8, 8);
    sink.setScanout(1, { ...short, height: 9 });
    sink.present(1, 0, now);
    expect(released()).toEqual([[1, 0, 0]]);
    expect(ledger.bytesCopied(CopyStage.upload)).toBe(0);
  });
});
