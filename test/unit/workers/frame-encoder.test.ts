import { expect, test } from 'vitest';
import { MonotonicClock } from '../../../core/measure/clock.ts';
import { Copier, copyKernels } from '../../../core/memory/copier.ts';
import { CopyStage, Ledger } from '../../../core/memory/ledger.ts';
import { createSharedMemory, MemoryRegion } from '../../../core/memory/region.ts';
import { SegmentList } from '../../../core/memory/segments.ts';
import { EncodeColumn, EncodeLog } from '../../../workers/encode/encode-log.ts';
import { EncodeSink } from '../../../workers/encode/encode-sink.ts';
import { FrameEncoder } from '../../../workers/encode/frame-encoder.ts';
import { RecordWord, recordAt, shareFor } from '../../../workers/encode/link.ts';
import { Offers } from '../../../workers/encode/offers.ts';
import { Pictures } from '../../../workers/encode/pictures.ts';
import { type FakeNodeAv, fakeNodeAv } from '../../support/fake-node-av.ts';

/** Host and encoder on one thread. @param pieces that the picture lies in @returns shows a frame and has it encoded */
function encoding(fake: FakeNodeAv, fallBack: ((why: string) => void) | null, pieces = 1) {
  const share = shareFor(1);
  const [pictures, offers, clock, ledger] = [new Pictures(), new Offers(share), new MonotonicClock(0), new Ledger(share.ledger)];
  const sink = new EncodeSink({ share, bell: { ring() {} }, post: (news) => pictures.hear(news), everyFrame: true });
  const parts = { av: fake.av, encoder: 'nvenc', offers, pictures, clock, ledger, take: null, wakeHost() {}, fallBack } as const;
  const log = new EncodeLog(share.log);
  const frames = new FrameEncoder({ ...parts, log, copier: new Copier(copyKernels()[0], ledger) });
  const memory = createSharedMemory(65536);
  const region = new MemoryRegion({ id: 0, name: 'ram', kind: 'ram', gpa: 0, size: 65536, device: null, bar: null, memory });
  const segments = new SegmentList();
  for (let i = 0; i < pieces; i++) segments.append(region, i * 16384, (64 * 48 * 4) / pieces);
  sink.setScanout(0, { width: 64, height: 48, stride: 256, offset: 0, format: 2, segments, imported: true, resourceId: 1 });
  const show = (frame: number): void => {
    clock.read();
    sink.present(0, frame, clock.slot);
    expect(offers.take(clock.slot)).toBe(true);
    frames.encodeTaken();
  };
  return { show, log, ledger, frames, sink, offers, clock, words: new Int32Array(share.words) };
}

test('a frame that is wanted back before it was begun is given back: not a byte of it is read', () => {
  const { show, log, ledger, frames, sink, offers, clock, words } = encoding(fakeNodeAv(), null, 2);
  show(0);
  expect(ledger.copies(CopyStage.gather)).toBe(1);
  sink.present(0, 1, clock.slot);
  offers.take(clock.slot);
  Atomics.store(words, recordAt(0, 1) + RecordWord.abort, 1);
  frames.encodeTaken();
  expect([ledger.copies(CopyStage.gather), log.count]).toEqual([1, 1]);
  sink.stop(1);
  for (let polls = 0; polls < 3; polls++) sink.pollReleases(clock.slot);
  expect(sink.holds(1)).toBe(false);
});

test('hardware that fails in the middle loses that frame, said once; the next ones are encoded by software', () => {
  const fake = fakeNodeAv();
  const notes: string[] = [];
  const { show, log, ledger, frames } = encoding(fake, (why) => notes.push(why));
  fake.fail = { call: 'h264_nvenc.send', from: 2 };
  for (let frame = 0; frame < 4; frame++) show(frame);
  expect(notes).toEqual(['nvenc refuses a frame, which software encodes instead: h264_nvenc: error -5']);
  expect([0, 1, 2].map((i) => log.cells[log.row(i) + EncodeColumn.frame])).toEqual([0, 2, 3]);
  expect([log.count, ledger.copies(CopyStage.encoder), ledger.bytesCopied(CopyStage.encoder)]).toEqual([3, 3, 3 * 64 * 48 * 1.5]);
  expect(fake.calls.filter((call) => /\.send|^context\.(open|free)/.test(call))).toEqual([
    'context.open h264_nvenc nv12',
    'h264_nvenc.send nv12',
    'h264_nvenc.send nv12',
    'context.free',
    'context.open libx264 yuv420p',
    'libx264.send yuv420p',
    'libx264.send yuv420p',
  ]);
  frames.close();
});

test('hardware that fails where software may not take its place fails the thread', () => {
  const fake = fakeNodeAv();
  const { show, log } = encoding(fake, null);
  fake.fail = { call: 'h264_nvenc.send', from: 2 };
  show(0);
  expect(() => show(1)).toThrow('h264_nvenc: error -5');
  expect(log.count).toBe(1);
});
