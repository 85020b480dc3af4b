import { closeSync, readdirSync } from 'node:fs';
import koffi from 'koffi';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FrameFlag } from '../../../core/measure/frame-log.ts';
import { createSharedMemory, MemoryRegion } from '../../../core/memory/region.ts';
import { SegmentList } from '../../../core/memory/segments.ts';
import type { ScanoutImage } from '../../../core/sink/sink.ts';
import { Libc } from '../../../workers/native/libc.ts';
import type { BackingFile } from '../../../workers/native/mapping.ts';
import { MemfdMemory } from '../../../workers/native/memfd-memory.ts';
import { PollSet } from '../../../workers/native/poll.ts';
import { FdSocket } from '../../../workers/native/socket.ts';
import { DisplayCount } from '../../../workers/vhost-user/gpu-socket.ts';
import { MemoryDisplay } from '../../../workers/vhost-user/memory-display.ts';
import { MemorySink } from '../../../workers/vhost-user/memory-sink.ts';
import { PeerError } from '../../../workers/vhost-user/peer-error.ts';
import { MemoryRequest } from '../../../workers/vhost-user/shown-memory.ts';

const loaded = Libc.load();
const MIB = 1 << 20;
const PAGE = 4096;
const HEIGHT = 8;
const STRIDE = 64;
const now = new Float64Array([1000]);

describe.skipIf(typeof loaded === 'string')("frames shown in the guest's memory", () => {
  const libc = loaded as Libc;
  let region: MemoryRegion;
  let files: MemfdMemory;
  let own: number;
  let other: number;
  let sink: MemorySink;
  let display: MemoryDisplay;
  let descriptors: number;

  const open = (): number => readdirSync('/proc/self/fd').length;
  let ofMemory: () => BackingFile;

  beforeEach(() => {
    descriptors = open();
    const plan = { id: 0, name: 'ram', kind: 'ram', gpa: 0, size: MIB, device: null, bar: null, memory: createSharedMemory(MIB) } as const;
    files = new MemfdMemory(libc, [plan]);
    ofMemory = () => ({ fd: files.fds[0] ?? -1, offset: 0 });
    region = new MemoryRegion(plan);
    [own, other] = libc.socketpair();
    sink = new MemorySink(libc, 2, (of) => (of === region ? ofMemory() : null));
    display = new MemoryDisplay(libc, other, { heads: 2, verify: true, capacity: 16, originNs: 0 });
  });
  afterEach(() => {
    closeSync(own);
    // What the display has mapped goes when its back end does.
    try {
      display.run();
    } catch (error) {
      if (!(error instanceof PeerError)) throw error;
    }
    closeSync(other);
    files.close();
    expect(open()).toBe(descriptors);
  });

  /** A buffer of pieces of a page, each a page apart, the last one first. */
  const image = (id: number, at: number): ScanoutImage => {
    const segments = new SegmentList();
    segments.append(region, at + 2 * PAGE, (STRIDE * HEIGHT) / 2);
    segments.append(region, at, (STRIDE * HEIGHT) / 2);
    return { width: 16, height: HEIGHT, stride: STRIDE, offset: 0, format: 2, segments, imported: true, resourceId: id };
  };
  const draw = ({ segments }: ScanoutImage, frame: number, rows = HEIGHT): void => {
    for (let row = 0; row < rows; row++) {
      const i = segments.find(row * STRIDE);
      region.u32[(segments.offset[i] + row * STRIDE - segments.start[i]) / 4] = frame + 1;
    }
  };
  const released = (): [number, number, number][] =>
    Array.from({ length: sink.pollReleases(now) }, (_, i) => [sink.releasedScanout[i], sink.releasedFrame[i], sink.releasedFlags[i]]);
  /** The display does what has come, and the sink takes its answers. */
  const step = (): void => {
    const polls = new PollSet(libc, 1);
    polls.set(0, other);
    // A message that brings a descriptor comes by itself.
    while (polls.wait(0) > 0) expect(display.serve()).toBe(true);
    sink.ready(now);
  };

  test('are looked at once each, in order, whole; a buffer is told once', () => {
    sink.setSocket(own);
    step();
    const images = [image(1, 0), image(2, 8 * PAGE)];
    for (let frame = 0; frame < 6; frame++) {
      const shown = images[frame % 2];
      draw(shown, frame);
      sink.setScanout(1, shown);
      sink.present(1, frame, now);
      expect(sink.holds(shown.resourceId)).toBe(true);
      expect(released()).toEqual([]);
      step();
      expect(released()).toEqual([[1, frame, 0]]);
      expect(sink.holds(shown.resourceId)).toBe(false);
    }
    expect([DisplayCount.updates, DisplayCount.verified, DisplayCount.torn, DisplayCount.unordered].map((i) => display.counts[i])).toEqual([
      6, 6, 0, 0,
    ]);
    // Frame 5 of head 1 was looked at at some time.
    expect(display.times[2 * (16 + 5)]).toBe(6);
    expect(display.times[2 * (16 + 5) + 1]).toBeGreaterThan(0);
  });

  test('that are torn or not the next are seen to be', () => {
    sink.setSocket(own);
    step();
    const shown = image(1, 0);
    sink.setScanout(0, shown);
    draw(shown, 0);
    draw(shown, 7, 3);
    sink.present(0, 0, now);
    step();
    expect([DisplayCount.torn, DisplayCount.unordered].map((i) => display.counts[i])).toEqual([1, 1]);
  });

  test('wait for the display to say that it takes them, and of those that wait the latest is shown', () => {
    sink.setSocket(own);
    const shown = image(1, 0);
    draw(shown, 2);
    sink.setScanout(0, shown);
    for (const frame of [0, 1, 2]) sink.present(0, frame, now);
    expect(released().sort()).toEqual([
      [0, 0, FrameFlag.superseded],
      [0, 1, FrameFlag.superseded],
    ]);
    step();
    expect(released()).toEqual([]);
    step();
    expect(released()).toEqual([[0, 2, 0]]);
  });

  test('a buffer that goes is let go at once, and its file with the last one', () => {
    sink.setSocket(own);
    step();
    const shown = image(1, 0);
    sink.setScanout(0, shown);
    sink.present(0, 0, now);
    sink.stop(1);
    expect(released()).toEqual([[0, 0, FrameFlag.superseded]]);
    expect(sink.holds(1)).toBe(false);
    // The answer to what was stopped is nobody's.
    step();
    expect(released()).toEqual([]);
    sink.present(0, 1, now);
    step();
    expect(released()).toEqual([[0, 1, 0]]);
    expect(display.counts[DisplayCount.updates]).toBe(2);
  });

  test('a buffer that lies in no file is not shown; with nobody there each frame is released at once', () => {
    const elsewhere = new MemoryRegion({
      id: 1,
      name: 'own',
      kind: 'ram',
      gpa: 0,
      size: MIB,
      device: null,
      bar: null,
      memory: createSharedMemory(MIB),
    });
    const segments = new SegmentList();
    segments.append(elsewhere, 0, STRIDE * HEIGHT);
    sink.setScanout(0, { ...image(1, 0), segments, imported: false });
    sink.present(0, 0, now);
    expect(released()).toEqual([[0, 0, 0]]);
    sink.setSocket(own);
    step();
    sink.present(0, 1, now);
    expect(released()).toEqual([[0, 1, 0]]);
    expect(display.counts[DisplayCount.updates]).toBe(0);
    sink.setSocket(-1);
  });

  test('a display that is gone, answers wrongly or takes no memory ends the session, and nothing stays held', () => {
    const shown = image(1, 0);
    for (const answer of [
      [1, 4, 8, 1, 0],
      [1, 0, 8, 0, 0x80000000],
      [1, 4, 4, 0, 0x80000000],
    ]) {
      const [a, b] = libc.socketpair();
      const one = new MemorySink(libc, 1, () => ofMemory());
      one.setSocket(a);
      one.setScanout(0, shown);
      one.present(0, 0, now);
      libc.write(b, new Uint8Array(new Uint32Array(answer).buffer));
      one.ready(now);
      expect(one.fault).toMatch(answer[0] === 1 && answer[1] === 4 && answer[2] === 8 ? /--sink socket/ : /not asked/);
      expect([one.pollReleases(now), one.holds(1), one.pollFd]).toEqual([1, false, -1]);
      for (const fd of [a, b]) closeSync(fd);
    }
    const [a, b] = libc.socketpair();
    closeSync(b);
    const one = new MemorySink(libc, 1, () => ofMemory());
    one.setSocket(a);
    one.ready(now);
    expect(one.fault).toMatch(/gone/);
    closeSync(a);
  });

  test('a slow display keeps what it is sent waiting, not the host; it goes on when it reads', () => {
    sink.setSocket(own);
    step();
    // Long lists of pages fill the socket.
    const scattered = (id: number): ScanoutImage => {
      const segments = new SegmentList();
      for (let page = 0; page < 200; page += 2) segments.append(region, page * PAGE, 64);
      return { ...image(id, 0), segments };
    };
    let sent = 0;
    while ((sink.pollEvents & 4) === 0) {
      sink.setScanout(0, scattered(++sent));
      sink.present(0, sent, now);
      sink.stop(sent);
    }
    expect(sent).toBeGreaterThan(50);
    released();
    for (let i = 0; i < 1000 && (sink.pollEvents & 4) !== 0; i++) step();
    expect(sink.pollEvents).toBe(1);
    const last = image(9999, 0);
    draw(last, 0);
    sink.setScanout(0, last);
    sink.present(0, 7, now);
    while (!released().some(([, frame]) => frame === 7)) step();
    expect(sink.fault).toBe(null);
  });

  test('a display that answers without end, or has its socket wait, keeps nobody waiting', () => {
    const shown = image(1, 0);
    sink.setSocket(own);
    const answers = new Uint8Array(
      new Uint32Array([1, 4, 8, 0, 0x80000000, ...Array(1000).fill([MemoryRequest.SHOW, 4, 8, 9, 9]).flat()]).buffer,
    );
    let reads = 0;
    let at = 0;
    const read = (_fd: number, into: Uint8Array): number => {
      if (++reads > 100) throw new Error('it reads without end');
      into.set(answers.subarray(at, at + into.length));
      // After the first one they are all alike.
      at = 20 + ((at + into.length) % 20);
      return into.length;
    };
    const flooding = {
      addressOf: (bytes: Uint8Array) => libc.addressOf(bytes),
      send: (_fd: number, bytes: Uint8Array) => bytes.length,
      nonBlocking() {},
      read,
      recv: read,
    } as unknown as Libc;
    const one = new MemorySink(flooding, 1, () => ofMemory());
    one.setSocket(own);
    one.setScanout(0, shown);
    one.ready(now);
    expect(reads).toBe(1);
    one.setSocket(-1);
    // Whoever shares it takes back that it does not wait: nothing has come, and nobody waits for it.
    koffi.load(null).func('int fcntl(int fd, int command, ...)')(own, 4, 'int', 0);
    sink.ready(now);
    step();
    step();
    expect(sink.fault).toBe(null);
  });

  test('a display that does not read is given up', () => {
    sink.setSocket(own);
    step();
    step();
    const segments = new SegmentList();
    for (let at = 0; at < MIB; at += 64) segments.append(region, at, 32);
    let shown = 0;
    while (sink.fault === null && shown < 1000) {
      sink.setScanout(0, { ...image(++shown, 0), segments });
      sink.present(0, shown, now);
      sink.stop(shown);
      released();
    }
    expect(sink.fault).toMatch(/does not read/);
    expect(shown).toBeGreaterThan(64);
  });

  test('a file that leaves before the display has taken it is the one that comes', () => {
    sink.setSocket(own);
    step();
    const segments = new SegmentList();
    for (let at = 0; at < MIB; at += 64) segments.append(region, at, 32);
    const present = (id: number): void => {
      sink.setScanout(0, { ...image(id, 0), segments });
      sink.present(0, id, now);
      sink.stop(id);
    };
    for (let id = 1; id < 8; id++) present(id);
    expect(sink.pollEvents & 4).toBe(4);
    const last = image(9, 0);
    const from = files.fds[0];
    draw(last, 0);
    ofMemory = () => ({ fd: ours, offset: 0 });
    const ours = libc.duplicate(from);
    sink.setScanout(0, last);
    sink.present(0, 9, now);
    // The descriptor's number is something else's from here on.
    libc.close(ours);
    const other = libc.eventfd();
    expect(other).toBe(ours);
    released();
    for (let i = 0; i < 1000 && sink.holds(9); i++) step();
    expect(sink.fault).toBe(null);
    expect(released()).toEqual([[0, 9, 0]]);
    libc.close(other);
  });

  describe('what a back end may not say to a display', () => {
    const { FILE, BUFFER, SHOW } = MemoryRequest;
    test.each<[string, number[], RegExp]>([
      ['an unknown request', [8, 0, 0], /request 8 is none/],
      ['a request of another size', [SHOW, 0, 8, 0, 1], /has 8 bytes, not 12/],
      ['a size that is no number of words', [SHOW, 0, 7, 0, 1], /has 7 bytes/],
      ['a size without end', [BUFFER, 0, 0xfffffffc, 0], /bytes/],
      ['a file without its descriptor', [FILE, 0, 20, 1, PAGE, 0, 0, 0], /without its descriptor/],
      ['a buffer it does not know', [SHOW, 0, 12, 0, 5, 0], /buffer 5 is unknown/],
      ['a scanout it has not', [SHOW, 0, 12, 2, 5, 0], /scanout 2, of 2/],
      ['a buffer in a file that it has not', [BUFFER, 0, 44, 1, 16, 8, 64, 0, 0, 1, 3, 512, 0, 0], /does not lie in file 3/],
      ['a buffer with rows past its end', [BUFFER, 0, 28, 1, 16, 8, 64, 0, 0, 0], /past the buffer/],
    ])('%s', (_what, words, fault) => {
      libc.write(own, new Uint8Array(new Uint32Array(words).buffer));
      expect(() => display.serve()).toThrow(fault);
    });

    test.each<[string, [number[], boolean][], RegExp]>([
      ['a file past its end', [[[FILE, 0, 20, 1, 2 * MIB, 0, 0, 0], true]], /file 1: mmap: EINVAL/],
      [
        'a file twice',
        [
          [[FILE, 0, 20, 1, MIB, 0, 0, 0], true],
          [[FILE, 0, 20, 1, MIB, 0, 0, 0], true],
        ],
        /one too many/,
      ],
      [
        'a buffer past the end of its file',
        [
          [[FILE, 0, 20, 1, MIB, 0, 0, 0], true],
          [[BUFFER, 0, 44, 1, 16, 8, 64, 0, 0, 1, 1, 512, MIB - 256, 0], false],
        ],
        /does not lie in file 1/,
      ],
    ])('%s', (_what, messages, fault) => {
      const socket = new FdSocket(libc, own, 256);
      for (const [words, hasFile] of messages) socket.send(new Uint8Array(new Uint32Array(words).buffer), hasFile ? [files.fds[0]] : []);
      expect(() => {
        for (const _ of messages) display.serve();
      }).toThrow(fault);
    });
  });
});
