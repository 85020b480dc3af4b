import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { monotonicNowNs } from '../../../core/measure/clock.ts';
import { FrameFlag } from '../../../core/measure/frame-log.ts';
import { CopyStage, Ledger } from '../../../core/memory/ledger.ts';
import { createSharedMemory, MemoryRegion } from '../../../core/memory/region.ts';
import { SegmentList } from '../../../core/memory/segments.ts';
import { DeviceRegisters } from '../../../core/ring/registers.ts';
import type { ScanoutImage } from '../../../core/sink/sink.ts';
import { EncodeColumn, EncodeLog } from '../../../workers/encode/encode-log.ts';
import { EncodeSink } from '../../../workers/encode/encode-sink.ts';
import { EncodeThread, encodeBell } from '../../../workers/encode/encode-thread.ts';
import { deviceNodes } from '../../../workers/encode/hardware-nodes.ts';
import { LinkWord, RecordState, recordAt } from '../../../workers/encode/link.ts';
import { loadNodeAv } from '../../../workers/encode/node-av.ts';
import { decodeH264, psnr } from '../../support/h264.ts';
import { CARD, cardNumber, cardPixel, drawCard } from '../../support/test-card.ts';

const missing = loadNodeAv();

describe.skipIf(typeof missing === 'string')('an encode thread', () => {
  let folder: string;
  let output: string;
  let control: SharedArrayBuffer;
  let thread: EncodeThread;
  let sink: EncodeSink;
  const now = new Float64Array(1);

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'scanout-encode-'));
    output = join(folder, 'stream.h264');
    control = new SharedArrayBuffer(DeviceRegisters.words * 4);
    thread = await EncodeThread.start({ ...start(), output });
    const { share, port } = thread.link;
    sink = new EncodeSink({ share, bell: encodeBell(share), post: (news) => port.postMessage(news), everyFrame: true });
  });
  afterEach(async () => {
    await thread.stop();
    thread.link.port.close();
    rmSync(folder, { recursive: true });
  });

  const start = () =>
    ({ heads: 2, wake: { kind: 'doorbell', control }, originNs: monotonicNowNs(), maxRefreshHz: null, encoder: 'software' }) as const;
  const image = (width: number, height: number, piece: number, id = 7): ScanoutImage => {
    const stride = width * 4;
    const bytes = stride * height;
    const size = Math.ceil((bytes * 2) / 4096) * 4096;
    const memory = createSharedMemory(size);
    const region = new MemoryRegion({ id: 0, name: 'ram', kind: 'ram', gpa: 0, size, device: null, bar: null, memory });
    const segments = new SegmentList();
    // A gap after each piece.
    for (let at = 0; at < bytes; at += piece) segments.append(region, at === 0 ? 0 : at + (at / piece) * 64, Math.min(piece, bytes - at));
    return { width, height, stride, offset: 0, format: 2, segments, imported: true, resourceId: id };
  };
  /** Waits for a release, as the host sleeps until it is woken. */
  const released = (): { frame: number; flags: number; presentedNs: number; releasedNs: number } => {
    const cells = new Int32Array(control);
    const bell = new DeviceRegisters(cells).hostDoorbell;
    for (;;) {
      Atomics.store(cells, bell + 1, 1);
      const sample = Atomics.load(cells, bell);
      if (sink.deadline[0] === 0 && sink.pollReleases(now) > 0) break;
      if (Atomics.wait(cells, bell, sample, 20_000) === 'timed-out') throw new Error('nobody rang for 20 s');
    }
    return { frame: sink.releasedFrame[0], flags: sink.releasedFlags[0], presentedNs: sink.presentedNs[0], releasedNs: sink.releasedNs[0] };
  };

  test('encodes 300 frames in their order, each as the guest drew it within 35 dB, and gives each back before its packet is out', async () => {
    const { width, height } = CARD;
    const shown = image(width, height, width * 4 * height);
    sink.setScanout(0, shown);
    const released0: number[] = [];
    for (let frame = 0; frame < 300; frame++) {
      drawCard(shown.segments, 0, shown.stride, width, height, frame);
      sink.present(0, frame, now);
      const one = released();
      expect([one.frame, one.flags]).toEqual([frame, 0]);
      expect(one.releasedNs).toBeGreaterThanOrEqual(one.presentedNs);
      released0.push(one.releasedNs);
    }
    await thread.stop();
    let frame = 0;
    let worst = Number.POSITIVE_INFINITY;
    for await (const decoded of decodeH264(output)) {
      expect(cardNumber((x, y) => decoded.pixels[y * decoded.width + x] & 255)).toBe(frame);
      worst = Math.min(
        worst,
        psnr(decoded, (x, y) => cardPixel(frame, x, y)),
      );
      frame++;
    }
    expect(frame).toBe(300);
    expect(worst).toBeGreaterThanOrEqual(35);

    const log = new EncodeLog(thread.link.share.log);
    const ledger = new Ledger(thread.link.share.ledger);
    expect(log.count).toBe(300);
    for (let i = 0; i < 300; i++) {
      const at = (column: number): number => log.cells[log.row(i) + column];
      expect([at(EncodeColumn.frame), at(EncodeColumn.released)]).toEqual([i, released0[i]]);
      expect(at(EncodeColumn.packet)).toBeGreaterThan(released0[i]);
      expect(at(EncodeColumn.bytes)).toBeGreaterThan(0);
      expect(at(EncodeColumn.key)).toBe(i === 0 ? 1 : 0);
    }
    expect([ledger.copies(CopyStage.gather), ledger.copies(CopyStage.encoder)]).toEqual([0, 300]);
    expect(ledger.bytesCopied(CopyStage.encoder)).toBe(300 * width * height * 1.5);
  });

  test('puts a picture together whose pieces are scattered, and charges that', async () => {
    const { width, height } = CARD;
    const shown = image(width, height, 4096 - 64);
    sink.setScanout(0, shown);
    for (let frame = 0; frame < 3; frame++) {
      drawCard(shown.segments, 0, shown.stride, width, height, frame);
      sink.present(0, frame, now);
      expect(released().flags).toBe(0);
    }
    await thread.stop();
    const ledger = new Ledger(thread.link.share.ledger);
    expect([ledger.copies(CopyStage.gather), ledger.bytesCopied(CopyStage.gather)]).toEqual([3, 3 * width * 4 * height]);
    let frame = 0;
    for await (const decoded of decodeH264(output)) {
      expect(psnr(decoded, (x, y) => cardPixel(frame, x, y))).toBeGreaterThanOrEqual(35);
      frame++;
    }
    expect(frame).toBe(3);
  });

  test.each([
    ['A8R8G8B8', 3, (xrgb: number) => swap(xrgb)],
    ['R8G8B8X8', 134, (xrgb: number) => ((xrgb & 255) << 16) | (xrgb & 0xff00) | ((xrgb >> 16) & 255)],
  ])('takes pictures of the format %s for what they are', async (_name, format, order) => {
    const { width, height } = CARD;
    const shown = { ...image(width, height, width * 4 * height), format };
    drawCard(shown.segments, 0, shown.stride, width, height, 5);
    const { u32 } = shown.segments.region[0];
    for (let i = 0; i < width * height; i++) u32[i] = order(u32[i]);
    sink.setScanout(0, shown);
    sink.present(0, 0, now);
    expect(released().flags).toBe(0);
    await thread.stop();
    for await (const decoded of decodeH264(output)) expect(psnr(decoded, (x, y) => cardPixel(5, x, y))).toBeGreaterThanOrEqual(35);
  });

  test.skipIf(deviceNodes('vaapi').length > 0)(
    'what hardware refuses is encoded by software, and said once; where that may not be the thread fails',
    async () => {
      const shown = image(CARD.width, CARD.height, CARD.width * CARD.height * 4);
      const notes: string[] = [];
      const other = join(folder, 'other.h264');
      const falling = await EncodeThread.start({ ...start(), encoder: 'vaapi', output: other, fallBack: (why) => notes.push(why) });
      const strict = await EncodeThread.start({ ...start(), encoder: 'vaapi', output: null });
      for (const { link } of [falling, strict]) {
        const { share, port } = link;
        const into = new EncodeSink({ share, bell: encodeBell(share), post: (news) => port.postMessage(news), everyFrame: true });
        for (const head of [0, 1]) into.setScanout(head, shown);
        drawCard(shown.segments, 0, shown.stride, CARD.width, CARD.height, 5);
        for (const head of [0, 1]) into.present(head, 0, now);
      }
      expect(await strict.failed).toBe('no /dev/dri/renderD*');
      const log = new EncodeLog(falling.link.share.log);
      await vi.waitUntil(() => log.count === 2);
      await falling.stop();
      await strict.stop();
      for (const { link } of [falling, strict]) link.port.close();
      const { width, height } = CARD;
      expect(notes).toEqual([`vaapi refuses ${width}x${height}, which software encodes instead: no /dev/dri/renderD*`]);
      for await (const decoded of decodeH264(other)) expect(psnr(decoded, (x, y) => cardPixel(5, x, y))).toBeGreaterThanOrEqual(35);
    },
  );

  test('a stop gives back a frame that is being read; its buffer may then change, and another one is encoded', () => {
    const large = image(3840, 2160, 3840 * 2160 * 4);
    const words = new Int32Array(thread.link.share.words);
    sink.setScanout(0, large);
    sink.present(0, 0, now);
    while (Atomics.load(words, recordAt(0, 0)) === RecordState.offered);
    sink.stop(7);
    expect(Atomics.load(words, recordAt(0, 0))).toBe(RecordState.done);
    expect(sink.pollReleases(now)).toBe(1);
    expect([sink.releasedFrame[0], sink.holds(7)]).toEqual([0, false]);
    const small = image(CARD.width, CARD.height, CARD.width * CARD.height * 4, 8);
    sink.setScanout(0, small);
    sink.present(0, 1, now);
    expect(released()).toMatchObject({ frame: 1, flags: 0 });
  });

  test('a thread that ends in the middle of a frame ends it, and what was offered is given back unread', async () => {
    const large = image(3840, 2160, 3840 * 2160 * 4);
    const words = new Int32Array(thread.link.share.words);
    sink.setScanout(0, large);
    for (let frame = 0; frame < 4; frame++) sink.present(0, frame, now);
    while (Atomics.load(words, recordAt(0, 0)) === RecordState.offered);
    await thread.stop();
    expect(Atomics.load(words, LinkWord.ended)).toBe(1);
    expect(sink.deadline[0]).toBe(0);
    expect(sink.pollReleases(now)).toBe(4);
    expect([...sink.releasedFrame.subarray(0, 4)]).toEqual([0, 1, 2, 3]);
    // It ends with the frame that it is at, which may be a later one by the time that it is asked to.
    const read = new EncodeLog(thread.link.share.log).count;
    expect(read).toBeGreaterThan(0);
    expect([...sink.releasedFlags.subarray(0, 4)]).toEqual([0, 1, 2, 3].map((frame) => (frame < read ? 0 : FrameFlag.superseded)));
    sink.present(0, 4, now);
    expect([sink.pollReleases(now), sink.releasedFlags[0], sink.holds(7)]).toEqual([1, FrameFlag.superseded, false]);
  });

  test('another size of the same head is another stream, and heads have streams of their own', async () => {
    const one = image(CARD.width, CARD.height, CARD.width * CARD.height * 4);
    const two = image(CARD.width * 2, CARD.height, CARD.width * CARD.height * 8, 8);
    const frames: [number, ScanoutImage][] = [
      [0, one],
      [1, two],
      [0, two],
      [1, one],
    ];
    for (const [i, [head, shown]] of frames.entries()) {
      sink.setScanout(head, shown);
      sink.present(head, i, now);
      expect(released()).toMatchObject({ frame: i, flags: 0 });
    }
    await thread.stop();
    const log = new EncodeLog(thread.link.share.log);
    expect(log.count).toBe(4);
    // Each of them begins with a key frame.
    for (let i = 0; i < 4; i++) expect(log.cells[log.row(i) + EncodeColumn.key]).toBe(1);
  });
});

const swap = (word: number): number => {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, word);
  return view.getUint32(0, true);
};
