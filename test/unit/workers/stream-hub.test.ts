import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { WebSocket } from 'ws';
import { Counter, Counters } from '../../../core/measure/counters.ts';
import { FrameColumn, FrameLog } from '../../../core/measure/frame-log.ts';
import { CopyStage, Ledger } from '../../../core/memory/ledger.ts';
import { createSharedMemory, MemoryRegion } from '../../../core/memory/region.ts';
import { SegmentList } from '../../../core/memory/segments.ts';
import { CURSOR_SIZE } from '../../../core/protocol/constants.ts';
import { CURSOR_BYTES, CursorBoard } from '../../../workers/encode/cursor-board.ts';
import { PACKET_ROOM, type StreamPacket } from '../../../workers/encode/encode-task.ts';
import { MOST_BEHIND_MS, MOST_UNSHOWN, MOST_WAITING_BYTES } from '../../../workers/stream/client.ts';
import { GlassMeter } from '../../../workers/stream/glass.ts';
import { StreamHub } from '../../../workers/stream/hub.ts';

/** A sequence parameter set of level 3.1, or another one, then a slice. */
const sps = (level: number): number[] => [0, 0, 0, 1, 0x67, 0x42, 0xc0, level, 9, 9, 0, 0, 1, 0x65, 1];
/** A tick of the hub's, ms, and a little. */
const TICK = 20;

/** A browser as the hub sees it. */
class FakeSocket extends EventEmitter {
  bufferedAmount = 0;
  readonly texts: { type: string; [key: string]: unknown }[] = [];
  readonly frames: { head: number; key: boolean; seq: number; frame: number }[] = [];
  readonly images: Uint8Array[] = [];
  /** Whether it draws what it gets. */
  draws = true;
  closed: number | null = null;
  pings = 0;

  send(data: string | Uint8Array): void {
    if (typeof data === 'string') {
      this.texts.push(JSON.parse(data));
      return;
    }
    const view = new DataView(data.buffer, data.byteOffset);
    if (view.getUint8(0) === 2) {
      this.images.push(data);
      return;
    }
    const frame = { head: view.getUint8(1), key: view.getUint8(2) === 1, seq: view.getUint32(4, true), frame: view.getUint32(8, true) };
    this.frames.push(frame);
    if (this.draws) this.draw(frame);
  }
  draw({ head, seq }: { head: number; seq: number }, code: number | null = null, at: number | null = null): void {
    this.say({ type: 'shown', head, seq, code, at });
  }
  say(message: unknown, isBinary = false): void {
    this.emit('message', typeof message === 'string' ? message : JSON.stringify(message), isBinary);
  }
  of(type: string): unknown[] {
    return this.texts.filter((text) => text.type === type);
  }
  numbers(): number[] {
    return this.frames.map(({ frame }) => frame);
  }
  close(code: number): void {
    this.closed = code;
  }
  terminate(): void {
    this.closed = 1006;
    this.emit('close');
  }
  ping(): void {
    this.pings++;
  }
}

describe('a hub', () => {
  let hub: StreamHub;
  let log: FrameLog;
  let keys: number[];
  let shown: boolean[];
  let board: CursorBoard;
  beforeEach(() => {
    vi.useFakeTimers();
    log = new FrameLog(new SharedArrayBuffer(FrameLog.bytes(2, 64)), 2, 64);
    hub = new StreamHub({ heads: 2, glass: new GlassMeter(log), nowMs: () => Date.now() });
    keys = [];
    shown = [true, true];
    board = new CursorBoard(new SharedArrayBuffer(CursorBoard.bytes(2)));
    hub.begin({ requestKey: (head) => keys.push(head), isShown: (head) => shown[head], cursors: board });
  });
  afterEach(() => {
    hub.close();
    vi.useRealTimers();
  });
  const join = (): FakeSocket => {
    const socket = new FakeSocket();
    hub.join(socket as unknown as WebSocket);
    return socket;
  };
  const packet = (frame: number, key = false, changes: Partial<StreamPacket> & { level?: number } = {}): void => {
    const { level = 31, ...rest } = changes;
    const bytes = new Uint8Array([...new Array<number>(PACKET_ROOM).fill(0), ...(key ? sps(level) : [0, 0, 1, 0x61, 1])]);
    hub.packet({ head: 0, frame, key, width: 640, height: 360, bytes, ...rest });
  };

  test('asks for a key frame when one joins, and sends nothing that cannot be decoded before it', () => {
    packet(0, true);
    packet(1);
    const socket = join();
    expect(keys).toEqual([0, 1]);
    packet(2);
    expect(socket.numbers()).toEqual([]);
    packet(3, true);
    packet(4);
    expect(socket.numbers()).toEqual([3, 4]);
    expect(socket.texts[0]).toEqual({ type: 'hello', heads: 2 });
    expect(socket.of('config')).toEqual([{ type: 'config', head: 0, width: 640, height: 360, codec: 'avc1.42c01f' }]);
  });

  test('asks for key frames no oftener than every 250 ms, however many join', () => {
    for (let i = 0; i < 10; i++) join();
    expect(keys).toEqual([0, 1]);
    vi.advanceTimersByTime(200);
    expect(keys).toEqual([0, 1]);
    vi.advanceTimersByTime(100);
    expect(keys).toEqual([0, 1, 0, 1]);
  });

  test('one that asks for key frames without end gets four a second at most, and another one loses no frame', () => {
    const [bad, good] = [join(), join()];
    packet(0, true);
    vi.advanceTimersByTime(1000);
    let made = 0;
    for (let frame = 1; frame <= 300; frame++) {
      keys.length = 0;
      bad.say({ type: 'key', head: 0 });
      vi.advanceTimersByTime(1000 / 30);
      if (keys.includes(0)) made++;
      packet(frame, keys.includes(0));
    }
    expect(made).toBeGreaterThan(30);
    expect(made).toBeLessThanOrEqual(40);
    expect(good.numbers()).toEqual(Array.from({ length: 301 }, (_, i) => i));
  });

  test.each([
    ['bytes wait for it here', { bufferedAmount: MOST_WAITING_BYTES + 1 }, 1],
    ['frames wait at its end', { draws: false }, 1 + MOST_UNSHOWN],
  ])('a client of which too many %s loses frames until the next key frame; another one loses none', (_, slowness, sent) => {
    const [slow, quick] = [join(), join()];
    packet(0, true);
    Object.assign(slow, slowness);
    for (let frame = 1; frame <= 100; frame++) packet(frame);
    expect(slow.frames.length).toBe(sent);
    expect(quick.frames.length).toBe(101);
    // While it is slow no key frame is made for it.
    keys.length = 0;
    vi.advanceTimersByTime(1000);
    expect(keys.filter((head) => head === 0)).toEqual([]);
    packet(101, true);
    expect(slow.frames.length).toBe(sent);
    // It has caught up.
    slow.bufferedAmount = 0;
    slow.draws = true;
    for (const frame of slow.frames) slow.draw(frame);
    vi.advanceTimersByTime(300);
    expect(keys).toContain(0);
    packet(102);
    expect(slow.frames.length).toBe(sent);
    packet(103, true);
    packet(104);
    expect(slow.numbers().slice(sent)).toEqual([103, 104]);
    expect(quick.numbers()).toEqual(Array.from({ length: 105 }, (_, i) => i));
  });

  test('a client that draws what it got too late gets no more of it', () => {
    const slow = join();
    slow.draws = false;
    packet(0, true);
    vi.advanceTimersByTime(MOST_BEHIND_MS);
    packet(1);
    expect(slow.numbers()).toEqual([0, 1]);
    vi.advanceTimersByTime(1);
    packet(2);
    packet(3, true);
    expect(slow.numbers()).toEqual([0, 1]);
    slow.draw(slow.frames[1]);
    packet(4);
    packet(5, true);
    expect(slow.numbers()).toEqual([0, 1, 5]);
  });

  test('a client that lost its decoder is told of it anew and begins with a key frame', () => {
    const socket = join();
    packet(0, true);
    vi.advanceTimersByTime(300);
    keys.length = 0;
    socket.say({ type: 'key', head: 0 });
    packet(1);
    vi.advanceTimersByTime(300);
    expect(keys).toContain(0);
    packet(2, true);
    expect(socket.numbers()).toEqual([0, 2]);
    expect(socket.of('config').length).toBe(2);
  });

  test('another size or level is told of before its first frame, to the same connection', () => {
    const socket = join();
    packet(0, true);
    packet(1, true);
    packet(2, true, { width: 320, height: 200 });
    packet(3, true, { width: 320, height: 200, level: 40 });
    expect(socket.of('config')).toEqual([
      expect.objectContaining({ width: 640, height: 360, codec: 'avc1.42c01f' }),
      expect.objectContaining({ width: 320, height: 200, codec: 'avc1.42c01f' }),
      expect.objectContaining({ width: 320, height: 200, codec: 'avc1.42c028' }),
    ]);
    expect(socket.numbers()).toEqual([0, 1, 2, 3]);
  });

  test('a head that goes is told of; when it comes back it begins with a key frame', () => {
    const socket = join();
    packet(0, true);
    shown[0] = false;
    vi.advanceTimersByTime(TICK);
    expect(socket.of('off')).toEqual([{ type: 'off', head: 0 }]);
    keys.length = 0;
    vi.advanceTimersByTime(1000);
    expect(keys).not.toContain(0);
    shown[0] = true;
    packet(1);
    expect(socket.numbers()).toEqual([0]);
    vi.advanceTimersByTime(300);
    expect(keys).toContain(0);
    packet(2, true);
    expect(socket.numbers()).toEqual([0, 2]);
    expect(socket.of('config').length).toBe(2);
  });

  test.each([
    ['no JSON', 'hello', false],
    ['JSON that is no object', '7', false],
    ['an unknown type', '{"type":"reboot"}', false],
    ['a head that there is not', '{"type":"key","head":2}', false],
    ['a head that is no number', '{"type":"key","head":"__proto__"}', false],
    ['a time that is none', '{"type":"ping","t":"now"}', false],
    ['a frame without its number', '{"type":"shown","head":0,"code":null,"at":null}', false],
    ['a binary message', '{"type":"ping","t":1}', true],
  ])('a client that sends %s is let go, and the others see nothing of it', (_, text, isBinary) => {
    const [bad, good] = [join(), join()];
    packet(0, true);
    bad.say(text, isBinary);
    packet(1);
    expect([bad.closed, bad.numbers(), good.closed, good.numbers()]).toEqual([1008, [0], null, [0, 1]]);
    expect([hub.clients, hub.refused]).toEqual([1, 1]);
  });

  test('a client that talks without end is let go', () => {
    const socket = join();
    for (let i = 0; i < 1000; i++) socket.say({ type: 'ping', t: i });
    expect([socket.closed, socket.of('pong').length]).toEqual([null, 1000]);
    socket.say({ type: 'ping', t: 0 });
    expect(socket.closed).toBe(1008);
    // Nothing more is heard of it.
    vi.advanceTimersByTime(1000);
    for (let i = 0; i < 10; i++) socket.say('nonsense');
    expect([hub.refused, socket.of('pong').length]).toEqual([1, 1000]);
  });

  test.each(['ping', 'pong'])("a client that sends WebSocket's own %ss without end is let go", (kind) => {
    const socket = join();
    for (let i = 0; i < 1000; i++) socket.emit(kind);
    expect(socket.closed).toBe(null);
    vi.advanceTimersByTime(1000);
    for (let i = 0; i < 1000; i++) socket.emit(kind);
    expect(socket.closed).toBe(null);
    socket.emit(kind);
    expect([socket.closed, hub.clients, hub.refused]).toEqual([1008, 0, 1]);
  });

  test('who joins has lost nothing before its first key frame', () => {
    packet(0, true);
    const socket = join();
    packet(1);
    packet(2, true);
    packet(3);
    expect([hub.lostBy(0), hub.packets, hub.joined]).toEqual([0, 4, 1]);
    socket.bufferedAmount = MOST_WAITING_BYTES + 1;
    packet(4);
    expect([hub.lostBy(0), hub.mostWaiting]).toEqual([1, MOST_WAITING_BYTES + 1]);
  });

  test('answers are not heaped up for a client that does not read them', () => {
    const socket = join();
    socket.bufferedAmount = MOST_WAITING_BYTES + 1;
    for (let i = 0; i < 10; i++) socket.say({ type: 'ping', t: i });
    vi.advanceTimersByTime(5000);
    expect(socket.of('pong').length + socket.of('figures').length).toBe(1);
  });

  test('a client that is silent for a minute is ended; one that answers is not', () => {
    const [silent, there] = [join(), join()];
    for (let s = 0; s < 70; s++) {
      vi.advanceTimersByTime(1000);
      if (there.pings > 0) there.emit('pong');
    }
    expect([silent.closed, there.closed, hub.clients]).toEqual([1006, null, 1]);
  });

  test('glass to glass runs from the submission of the frame that the pixels name', () => {
    const socket = join();
    socket.draws = false;
    for (const [frame, submitMs] of [
      [5, 1000],
      [6, 1010],
      [7, 1020],
    ]) {
      log.cells[log.row(0, frame) + FrameColumn.submit] = submitMs * 1e6;
      packet(frame, frame === 5);
    }
    const [five, six, seven] = socket.frames;
    socket.draw(five, 5, 1040);
    // Pixels of another frame, none, no clock yet, before it was submitted: no latency.
    socket.draw(six, 5, 1060);
    socket.draw(seven, 7, 1000);
    socket.draw(seven, 7, 1050);
    vi.advanceTimersByTime(1100);
    expect(socket.of('figures').at(-1)).toMatchObject({ p50: 40, p99: 40, samples: 1, clients: 1, lost: 0 });
  });

  test('a frame that is encoded again for one who joins is timed for nobody but a client that was not sent it before', () => {
    log.cells[log.row(0, 5) + FrameColumn.submit] = 1000e6;
    const [there, late] = [join(), join()];
    for (const socket of [there, late]) socket.draws = false;
    packet(4, true);
    late.draw(late.frames[0]);
    late.bufferedAmount = MOST_WAITING_BYTES + 1;
    packet(5, false);
    late.bufferedAmount = 0;
    const joined = join();
    joined.draws = false;
    packet(5, true);
    const shownAt = (socket: FakeSocket, index: number, at: number): void => {
      socket.draw(socket.frames[index], 5, at);
      vi.advanceTimersByTime(1100);
    };
    shownAt(there, 1, 1020);
    expect(there.of('figures').at(-1)).toMatchObject({ p50: 20, samples: 1 });
    shownAt(there, 2, 9000);
    shownAt(joined, 0, 9000);
    expect(there.of('figures').at(-1)).toMatchObject({ p50: 20, samples: 1 });
    shownAt(late, 1, 1300);
    expect([late.frames.length, late.of('figures').at(-1)]).toMatchObject([2, { p99: 300, samples: 2, lost: 1 }]);
  });

  test('the cursor goes apart: its image once, its places as they change, to those who join later, too', () => {
    const memory = createSharedMemory(65536);
    const region = new MemoryRegion({ id: 0, name: 'c', kind: 'ram', gpa: 0, size: 65536, device: null, bar: null, memory });
    const image = new SegmentList();
    image.append(region, 0, CURSOR_BYTES);
    // Half transparent red, the alpha multiplied in.
    region.u32[0] = 0x80800000;
    const ledger = new Ledger();
    const counters = new Counters(new SharedArrayBuffer(Counters.bytes));
    const cursors = [0, 1].map(() => ({ resourceId: 0, x: 0, y: 0, hotX: 0, hotY: 0, image: null as SegmentList | null }));
    const device = { cursor: (head: number) => cursors[head] };
    const first = join();
    cursors[1] = { resourceId: 3, x: 10, y: 20, hotX: 1, hotY: 2, image };
    counters.add(Counter.cursorUpdates, 1);
    board.show(device, counters, ledger);
    expect(ledger.copies(CopyStage.cursor)).toBe(1);
    vi.advanceTimersByTime(TICK);
    cursors[1].x = 11;
    board.show(device, counters, ledger);
    expect(ledger.copies(CopyStage.cursor)).toBe(1);
    vi.advanceTimersByTime(TICK);
    const last = { type: 'cursor', head: 1, visible: true, x: 11, y: 20, hotX: 1, hotY: 2, image: 1 };
    expect(first.of('cursor').filter((text) => (text as { head: number }).head === 1)).toEqual([
      expect.objectContaining({ visible: false }),
      { ...last, x: 10 },
      last,
    ]);
    const second = join();
    expect(second.of('cursor').at(-1)).toEqual(last);
    for (const socket of [first, second]) {
      expect(socket.images.length).toBe(1);
      const [bytes] = socket.images;
      expect([...bytes.slice(0, 3), bytes.length]).toEqual([2, 1, CURSOR_SIZE, 8 + CURSOR_BYTES]);
      expect([...bytes.slice(8, 12)]).toEqual([255, 0, 0, 128]);
    }
    cursors[1].resourceId = 0;
    board.show(device, counters, ledger);
    vi.advanceTimersByTime(TICK);
    expect(first.of('cursor').at(-1)).toMatchObject({ visible: false });
    expect(first.frames).toEqual([]);
  });
});
