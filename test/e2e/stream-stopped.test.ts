import { readFileSync } from 'node:fs';
import type { Browser, Page } from 'playwright-core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { MOST_UNSHOWN, MOST_WAITING_BYTES } from '../../workers/stream/client.ts';
import { whyNoStream } from '../../workers/stream/stream.ts';
import { launchChromium, openPage } from '../support/browser.ts';
import { GuestPace, paceFaults, paceText } from '../support/guest-pace.ts';
import { descendants } from '../support/processes.ts';
import { type StreamMachine, startStreamMachine, until } from '../support/stream-machine.ts';

/** 5 s of the guest's. */
const FRAMES = 300;
const MIB = 2 ** 20;
const SLOW = 120_000;

/** Keeps what the page's decoder is given, each [sequence number, whether it is a key frame], and the numbers of the pictures that it shows. */
const WATCH = `(() => {
  window.decoded = [];
  window.shown = [];
  const decode = VideoDecoder.prototype.decode;
  VideoDecoder.prototype.decode = function (chunk) {
    window.decoded.push([chunk.timestamp, chunk.type === 'key']);
    decode.call(this, chunk);
  };
  document.addEventListener('shown', ({ detail }) => window.shown.push(detail.code));
})()`;

describe.skipIf(whyNoStream() !== null)('a Chromium that is stopped for 5 s', () => {
  let browser: Browser;
  let machine: StreamMachine;
  let stopped: number[] = [];
  beforeEach(async () => {
    browser = await launchChromium();
    machine = await startStreamMachine({ maxRefreshHz: 30 });
  }, SLOW);
  afterEach(async () => {
    goOn();
    await browser.close();
    expect(await machine.stop()).toEqual({ kind: 'aborted' });
  }, SLOW);

  /** Stops those of the browser's processes, all of their threads. */
  const stop = async (ofThem: (command: string) => boolean): Promise<void> => {
    stopped = descendants(process.pid).flatMap(({ pid }) => {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      return command.includes('chromium') && ofThem(command) ? [pid] : [];
    });
    expect(stopped.length).toBeGreaterThan(0);
    for (const pid of stopped) process.kill(pid, 'SIGSTOP');
    await until(() => stopped.every((pid) => /^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))));
  };
  const goOn = (): void => {
    for (const pid of stopped.splice(0)) process.kill(pid, 'SIGCONT');
  };
  const shownBy = (page: Page): Promise<(number | null)[]> => page.evaluate('window.shown');

  test.each([
    ['the renderer of its page', (command: string) => command.includes('--type=renderer')],
    ['all of its processes', () => true],
  ])(
    '%s: the guest keeps its pace, another client its frames; then it goes on with a key frame and shows the newest, in order',
    async (_, ofThem) => {
      const { page, complaints } = await openPage(browser, machine.stream.server.url);
      await page.evaluate(WATCH);
      await until(async () => (await shownBy(page)).length > 30);
      const other = await machine.watcher();
      await until(() => other.frames.length > 20);
      const { hub } = machine.stream;
      const pace = new GuestPace(machine.plan);
      const before = await pace.during(() => pace.pass(FRAMES));

      const [lost, lostByOther, got] = [hub.lostBy(0), hub.lostBy(1), other.frames.length];
      const memory: number[] = [];
      let waiting = 0;
      await stop(ofThem);
      const now = await pace.during(async () => {
        for (let i = 0; i < 10; i++) {
          await pace.pass(FRAMES / 10, () => {
            waiting = Math.max(waiting, hub.mostWaiting);
          });
          memory.push(process.memoryUsage().arrayBuffers);
        }
      });
      const newest = pace.frames;
      const gotNow = other.frames.length - got;
      const [lostNow, lostByOtherNow] = [hub.lostBy(0) - lost, hub.lostBy(1) - lostByOther];
      goOn();
      console.log(`before ${paceText(before)}\nthen   ${paceText(now)}`);
      console.log(`lost ${lostNow}, by another client ${lostByOtherNow} of ${gotNow}; ${waiting} bytes waited at most`);
      expect(paceFaults(before, now)).toEqual([]);
      // The other one has what was encoded, which is at most each second frame.
      expect(gotNow).toBeGreaterThan(now.frames / 4);
      expect(lostByOtherNow).toBeLessThan(lostNow / 4);
      expect(lostNow).toBeGreaterThan(gotNow - 2 * MOST_UNSHOWN);
      // What waits is bounded, and what was sent is given back; 32 MiB are some seconds of packets that are not collected yet.
      expect(waiting).toBeLessThanOrEqual(MOST_WAITING_BYTES + MIB);
      expect(Math.max(...memory) - memory[0]).toBeLessThan(32 * MIB);

      await until(async () => (await shownBy(page)).some((code) => code !== null && code > newest + 30));
      const numbers = (await shownBy(page)).map((code) => code ?? Number.NaN);
      expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
      const decoded: [seq: number, isKey: boolean][] = await page.evaluate('window.decoded');
      const gaps = decoded.flatMap(([seq, isKey], i) =>
        i > 0 && seq !== decoded[i - 1][0] + 1 ? [{ by: seq - decoded[i - 1][0], seq, isKey }] : [],
      );
      expect(gaps.filter(({ isKey }) => !isKey)).toEqual([]);
      const [longest] = gaps.toSorted((a, b) => b.by - a.by);
      expect(longest.by).toBeGreaterThan(lostNow / 2);
      // The key frame is of when it went on: at most as old as a frame that was encoded last.
      expect(other.bySeq.get(longest.seq)).toBeGreaterThan(newest - 10);
      // On the same connection, and without a word of complaint.
      expect([hub.joined, hub.clients, complaints]).toEqual([2, 2, []]);
    },
    SLOW,
  );
});
