import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { WebSocket } from 'ws';
import { DEFAULT_OPTIONS } from '../../core/machine/options.ts';
import { planMachine } from '../../core/machine/plan.ts';
import { monotonicNowNs } from '../../core/measure/clock.ts';
import { Counter, Counters } from '../../core/measure/counters.ts';
import { FrameColumn, FrameLog } from '../../core/measure/frame-log.ts';
import { SessionRunner } from '../../workers/session.ts';
import { MOST_UNSHOWN } from '../../workers/stream/client.ts';
import { whyNoStream } from '../../workers/stream/stream.ts';
import { type StreamMachine, startStreamMachine, until } from '../support/stream-machine.ts';

/** How long a client stands still, ms. */
const STANDS_MS = 5000;
const MIB = 2 ** 20;
const SLOW = 120_000;

describe.skipIf(whyNoStream() !== null)('clients that do not do what a client does', () => {
  let machine: StreamMachine;
  const sockets: WebSocket[] = [];
  beforeEach(async () => {
    machine = await startStreamMachine({ maxRefreshHz: 30 });
  });
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.terminate();
    expect(await machine.stop()).toEqual({ kind: 'aborted' });
  });

  /** One that says of each frame that it was drawn, as a page does. @returns the guest's numbers of the frames it got */
  const watcher = async (draws = true): Promise<{ socket: WebSocket; frames: number[]; keys: number[] }> => {
    const socket = await machine.watch();
    sockets.push(socket);
    const [frames, keys]: number[][] = [[], []];
    socket.on('message', (data: Buffer, isBinary) => {
      if (!isBinary || data[0] !== 1) return;
      frames.push(data.readUInt32LE(8));
      if (data[2] === 1) keys.push(data.readUInt32LE(8));
      if (draws) socket.send(JSON.stringify({ type: 'shown', head: data[1], seq: data.readUInt32LE(4), code: null, at: null }));
    });
    return { socket, frames, keys };
  };
  const flushes = (): number => machine.guest.get(Counter.flushes);
  const pass = (frames: number): Promise<void> => {
    const end = flushes() + frames;
    return until(() => flushes() >= end);
  };
  /** Gaps between a head's frames, in vblanks: 1 for each that was not missed. From the guest's own log. */
  const missed = (from: number, to: number): number => {
    const log = new FrameLog(machine.plan.frameLog, 1, machine.plan.options.logCapacity);
    const dueAt = (frame: number): number => log.cells[log.row(0, frame) + FrameColumn.scheduled];
    const period = 1e9 / 60;
    return Math.round((dueAt(to) - dueAt(from)) / period) - (to - from);
  };
  /** What the guest waits for its frames: their answer must not come later because of who watches. */
  const waits = (from: number, to: number): number => {
    const log = new FrameLog(machine.plan.frameLog, 1, machine.plan.options.logCapacity);
    const all = Array.from({ length: to - from }, (_, i) => {
      const row = log.row(0, from + i);
      return log.cells[row + FrameColumn.fenceSeen] - log.cells[row + FrameColumn.submit];
    });
    return all.sort((a, b) => a - b)[Math.floor(all.length / 2)] / 1e6;
  };
  /** The guest has gone on, frame by frame, and its frames were answered as without clients. */
  const goesOn = (from: number): void => {
    const to = flushes() - 2;
    console.log(`frames ${from} to ${to}: ${missed(from, to)} vblanks missed, median answer ${waits(from, to).toFixed(2)} ms`);
    expect(machine.host.get(Counter.errorResponses)).toBe(0);
    // A guest waits no longer than 50 ms for an answer: one that waited for a client would be 5 s late.
    expect(waits(from, to)).toBeLessThan(50);
  };

  test(
    'a client that reads nothing for 5 s loses frames and goes on with a key frame; another one and the guest go on; memory is flat',
    async () => {
      const [stopped, good] = [await watcher(), await watcher()];
      await until(() => stopped.frames.length > 20 && good.frames.length > 20);
      const from = flushes();
      const lostBefore = machine.stream.hub.lostBy(0);
      stopped.socket.pause();
      const began = stopped.frames.length;
      const memory: number[] = [];
      const start = performance.now();
      while (performance.now() - start < STANDS_MS) {
        await pass(30);
        memory.push(process.memoryUsage().arrayBuffers);
      }
      goesOn(from);
      const got = good.frames.length;
      expect(machine.stream.hub.lostBy(0)).toBeGreaterThan(lostBefore);
      expect(Math.max(...memory.slice(1)) - memory[1]).toBeLessThan(32 * MIB);
      stopped.socket.resume();
      const keys = stopped.keys.length;
      await until(() => stopped.keys.length > keys && stopped.frames.length > began + MOST_UNSHOWN + 20);
      // What it got is in order, and what follows the gap begins with a key frame.
      const gap = stopped.frames.findIndex((frame, i) => i > 0 && frame - stopped.frames[i - 1] > 60);
      expect(gap).toBeGreaterThan(0);
      expect(stopped.keys).toContain(stopped.frames[gap]);
      expect(stopped.frames).toEqual(stopped.frames.toSorted((a, b) => a - b));
      // The other one had what the encoder made; a moment in which this whole process stands still may cost both.
      await until(() => good.frames.length > got);
      expect(machine.stream.hub.lostBy(1)).toBeLessThan(machine.stream.hub.lostBy(0) / 4);
    },
    SLOW,
  );

  test(
    'garbage, half a frame and a client that is gone in the middle of one are nothing to the guest and to those who watch',
    async () => {
      const good = await watcher();
      await until(() => good.frames.length > 20);
      const from = flushes();
      const before = good.frames.length;
      for (let i = 0; i < 20; i++) {
        const bad = await watcher();
        if (i % 4 === 0) bad.socket.send('garbage');
        else if (i % 4 === 1) bad.socket.send(Buffer.alloc(100, i));
        else if (i % 4 === 2) bad.socket.send('x'.repeat(100_000));
        else {
          // Gone while a frame is on its way: no goodbye.
          await until(() => bad.frames.length > 0);
          bad.socket.terminate();
        }
        await new Promise((resolve) => (bad.socket.readyState === bad.socket.CLOSED ? resolve(null) : bad.socket.on('close', resolve)));
      }
      const raw = connect(machine.stream.server.port, '127.0.0.1');
      await new Promise((resolve) =>
        raw
          .on('close', resolve)
          .on('data', () => {})
          .end('GET /stream HTTP/1.1\r\nUpgrade: x\r\n\r\n'),
      );
      await pass(60);
      goesOn(from);
      expect(machine.stream.hub.clients).toBe(1);
      expect(machine.stream.hub.refused).toBe(10);
      expect(good.frames.length).toBeGreaterThan(before + 20);
      expect(good.frames).toEqual(good.frames.toSorted((a, b) => a - b));
    },
    SLOW,
  );

  test(
    'ten clients get the same frames, each encoded once',
    async () => {
      const all: Awaited<ReturnType<typeof watcher>>[] = [];
      // One after the other: each uses up the token.
      while (all.length < 10) all.push(await watcher());
      await until(() => all.every(({ frames }) => frames.length > 0));
      const from = flushes();
      await pass(120);
      goesOn(from);
      const first = Math.max(...all.map(({ frames }) => frames[0]));
      const last = Math.min(...all.map(({ frames }) => frames.at(-1) ?? 0));
      const within = all.map(({ frames }) => frames.filter((frame) => frame > first && frame < last));
      expect(within[0].length).toBeGreaterThan(20);
      for (const frames of within) expect(frames).toEqual(within[0]);
    },
    SLOW,
  );
});

test.skipIf(whyNoStream() !== null)(
  'who joins while the guest draws nothing sees its last frame: it is encoded again, and not read again',
  async () => {
    const machine = await startStreamMachine({ rateHz: 1 });
    await until(() => machine.guest.get(Counter.flushes) > 0);
    /** @returns the first frame that one who joins now is sent, and whether it had been flushed before */
    const joins = async (): Promise<{ key: boolean; isOld: boolean }> => {
      const before = machine.guest.get(Counter.flushes);
      const socket = await machine.watch();
      const first = await new Promise<Buffer>((resolve) => {
        socket.on('message', (data: Buffer, isBinary) => isBinary && data[0] === 1 && resolve(data));
      });
      socket.terminate();
      return { key: first[2] === 1, isOld: first.readUInt32LE(8) < before };
    };
    // The next frame may come before, once in a while.
    await until(async () => {
      const { key, isOld } = await joins();
      expect(key).toBe(true);
      return isOld;
    });
    await machine.stop();
  },
  SLOW,
);

test.skipIf(whyNoStream() !== null).each(['udmabuf', 'copy'] as const)(
  'a guest that shows the card and a cursor by %s leaves nothing behind',
  async (path) => {
    const sessions = new SessionRunner();
    const options = {
      ...DEFAULT_OPTIONS,
      path,
      width: 320,
      height: 192,
      heads: 2,
      sink: 'encode',
      card: true,
      maxRefreshHz: null,
    } as const;
    const plan = planMachine(options, monotonicNowNs());
    const outcome = await sessions.run(plan, { warmupMs: 0, warmupFrames: 2, measureMs: 0, measureFrames: 40, usageWindows: 1 }, 20_000);
    await sessions.close();
    if (outcome.kind !== 'done') throw new Error(JSON.stringify(outcome));
    const { guest, host } = outcome;
    expect([guest.heldAfterFree, guest.failedFrames, host.budgetAfterReset, host.resourcesAfterReset]).toEqual([0, 0, 0, 0]);
    const counters = new Counters(plan.hostCounters);
    expect([counters.get(Counter.cursorUpdates), counters.get(Counter.cursorErrors)]).toEqual([2, 0]);
    expect(counters.get(Counter.cursorMoves)).toBeGreaterThan(10);
  },
  SLOW,
);
