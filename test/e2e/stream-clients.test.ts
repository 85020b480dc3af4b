import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { WebSocket } from 'ws';
import { DEFAULT_OPTIONS } from '../../core/machine/options.ts';
import { planMachine } from '../../core/machine/plan.ts';
import { monotonicNowNs } from '../../core/measure/clock.ts';
import { Counter, Counters } from '../../core/measure/counters.ts';
import { Offers } from '../../workers/encode/offers.ts';
import { ownMemory } from '../../workers/memory.ts';
import { SessionRunner } from '../../workers/session.ts';
import { MOST_UNSHOWN, MOST_WAITING_BYTES } from '../../workers/stream/client.ts';
import { whyNoStream } from '../../workers/stream/stream.ts';
import { GuestPace, type Pace, paceFaults, paceText } from '../support/guest-pace.ts';
import { type StreamMachine, startStreamMachine, until, type Watcher } from '../support/stream-machine.ts';

/** How long a client stands still: 5 s of the guest's frames. */
const STANDS_FRAMES = 300;
const MIB = 2 ** 20;
const SLOW = 120_000;

describe.skipIf(whyNoStream() !== null)('clients that do not do what a client does', () => {
  let machine: StreamMachine;
  let pace: GuestPace;
  const sockets: WebSocket[] = [];
  beforeEach(async () => {
    machine = await startStreamMachine({ maxRefreshHz: 30 });
    pace = new GuestPace(machine.plan);
    await until(() => pace.frames > 30);
  });
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.terminate();
    expect(await machine.stop()).toEqual({ kind: 'aborted' });
  });

  const watcher = async (): Promise<Watcher> => {
    const one = await machine.watcher();
    sockets.push(one.socket);
    return one;
  };
  /** What the pace is held against: before anybody else joined. */
  const calm = async (frames: number): Promise<Pace> => await pace.during(() => pace.pass(frames));
  /** The guest has gone on at its pace, and no command of its was answered with an error. */
  const goesOn = (before: Pace, now: Pace): void => {
    console.log(`before ${paceText(before)}\nthen   ${paceText(now)}`);
    expect(paceFaults(before, now)).toEqual([]);
    expect(machine.host.get(Counter.errorResponses)).toBe(0);
  };

  test(
    'a client that reads nothing for 5 s loses frames and goes on with a key frame; another one and the guest go on; memory is flat',
    async () => {
      const [stopped, good] = [await watcher(), await watcher()];
      await until(() => stopped.frames.length > 20 && good.frames.length > 20);
      const before = await calm(STANDS_FRAMES);
      const { hub } = machine.stream;
      const lostBefore = hub.lostBy(0);
      const began = stopped.frames.length;
      const memory: number[] = [];
      let waiting = 0;
      stopped.socket.pause();
      const now = await pace.during(async () => {
        for (let i = 0; i < 10; i++) {
          await pace.pass(STANDS_FRAMES / 10, () => {
            waiting = Math.max(waiting, hub.mostWaiting);
          });
          memory.push(process.memoryUsage().arrayBuffers);
        }
      });
      goesOn(before, now);
      const got = good.frames.length;
      expect(hub.lostBy(0)).toBeGreaterThan(lostBefore);
      expect(waiting).toBeLessThanOrEqual(MOST_WAITING_BYTES + MIB);
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
      const before = await calm(120);
      const got = good.frames.length;
      const act = async (): Promise<void> => {
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
        await pace.pass(60);
      };
      goesOn(before, await pace.during(act));
      expect(machine.stream.hub.clients).toBe(1);
      expect(machine.stream.hub.refused).toBe(10);
      expect(good.frames.length).toBeGreaterThan(got + 20);
      expect(good.frames).toEqual(good.frames.toSorted((a, b) => a - b));
    },
    SLOW,
  );

  test(
    'ten clients get the same frames, each encoded once',
    async () => {
      const before = await calm(120);
      const all: Watcher[] = [];
      // One after the other: each uses up the token.
      while (all.length < 10) all.push(await watcher());
      await until(() => all.every(({ frames }) => frames.length > 0));
      goesOn(before, await calm(120));
      const first = Math.max(...all.map(({ frames }) => frames[0]));
      const last = Math.min(...all.map(({ frames }) => frames.at(-1) ?? 0));
      const within = all.map(({ frames }) => frames.filter((frame) => frame > first && frame < last));
      expect(within[0].length).toBeGreaterThan(20);
      for (const frames of within) expect(frames).toEqual(within[0]);
    },
    SLOW,
  );

  test(
    'of sixty clients that come and go nothing stays, and the guest keeps its pace',
    async () => {
      const before = await calm(120);
      const seen: WeakRef<object>[] = [];
      const { hub } = machine.stream;
      const join = hub.join.bind(hub);
      hub.join = (socket) => {
        seen.push(new WeakRef(socket));
        join(socket);
      };
      /** Half of them say goodbye. */
      const comeAndGo = async (clients: number): Promise<void> => {
        for (let i = 0; i < clients; i++) {
          const { socket, frames } = await machine.watcher();
          await until(() => frames.length > 0);
          if (i % 2 === 0) socket.close();
          else socket.terminate();
          await new Promise((resolve) => socket.on('close', resolve));
        }
        await until(() => hub.clients === 0);
        // A socket that was closed is let go a turn later.
        await pace.pass(2);
      };
      /** The least of five collections: what is on its way, or is swept meanwhile, is not held. */
      const held = async (): Promise<number> => {
        // This test's own: one for each fetch.
        performance.clearResourceTimings();
        let least = Number.POSITIVE_INFINITY;
        for (let i = 0; i < 5; i++) {
          const { heapBytes, externalBytes } = ownMemory();
          least = Math.min(least, heapBytes + externalBytes);
          await pace.pass(2);
        }
        return least;
      };
      // Code is compiled, and buffers for reading are taken, once.
      await comeAndGo(20);
      const [heldBefore, rssBefore] = [await held(), process.memoryUsage.rss()];
      goesOn(before, await pace.during(() => comeAndGo(60)));
      const [grown, rss] = [(await held()) - heldBefore, process.memoryUsage.rss() - rssBefore];
      const alive = seen.filter((one) => one.deref() !== undefined).length;
      console.log(
        `after 60 more: ${alive} of ${seen.length} sockets, ${(grown / 1024).toFixed(0)} KiB held, ${(rss / MIB).toFixed(1)} MiB resident`,
      );
      // The newest may lie in a register or a list of the event loop's.
      expect(alive).toBeLessThanOrEqual(2);
      // What else could stay of each: 10 KiB are a client with its parser and sender. Some 300 KiB are code that is compiled meanwhile.
      expect(grown).toBeLessThan(60 * 10 * 1024);
      // Collected or not: a client that kept its frames would keep 2 MiB.
      expect(rss).toBeLessThan(64 * MIB);
      expect(hub.joined).toBe(80);
    },
    SLOW,
  );

  test(
    'a guest whose frames are kept for a client would be found to miss its vblanks',
    async () => {
      const before = await calm(60);
      const share = machine.encoder()?.link.share;
      if (share === undefined) throw new Error('there is no encoder');
      const offers = new Offers(share);
      const now = new Float64Array(1);
      const kept = await pace.during(async () => {
        // Takes a frame as the encode thread does, and keeps it.
        await until(() => offers.take(now));
        await pace.pass(60);
      });
      offers.release(false, now);
      console.log(`before ${paceText(before)}\nkept   ${paceText(kept)}`);
      expect(paceFaults(before, kept)).not.toEqual([]);
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
