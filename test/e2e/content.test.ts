import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MessageChannel } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { codeBlock } from '../../core/guest/block-code.ts';
import type { Content } from '../../core/machine/content.ts';
import { DEFAULT_OPTIONS, type MachineOptions, PATHS } from '../../core/machine/options.ts';
import { type MachinePlan, planMachine } from '../../core/machine/plan.ts';
import { monotonicNowNs } from '../../core/measure/clock.ts';
import { Counter, Counters } from '../../core/measure/counters.ts';
import { CopyStage, Ledger } from '../../core/memory/ledger.ts';
import { PictureTaker } from '../../core/memory/picture-ring.ts';
import { type RunDocument, readRun } from '../../reports/index.ts';
import { probeFile } from '../../workers/content/content-thread.ts';
import { PACKET_ROOM, type StreamPacket } from '../../workers/encode/encode-task.ts';
import { loadNodeAv, type NodeAv } from '../../workers/encode/node-av.ts';
import { type SessionOutcome, SessionRunner } from '../../workers/session.ts';
import { greyOf, writeFilm, writeStill } from '../support/content-files.ts';
import { decodeH264 } from '../support/h264.ts';
import { Running } from '../support/running-command.ts';

const loaded = loadNodeAv();
const HEAD = { width: 640, height: 360 };
interface PageCode {
  numberIn(pixels: Uint8ClampedArray, block: number): number | null;
}
/** What the page reads with. */
const page = new URL('../../workers/stream/page/block-code.js', import.meta.url).href;
const { numberIn } = (await import(page)) as PageCode;

describe.skipIf(typeof loaded === 'string')('a guest that shows a file', () => {
  const av = loaded as NodeAv;
  let folder: string;
  let film: string;
  const sessions = new SessionRunner();
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'scanout-shown-'));
    film = join(folder, 'film.mp4');
    writeFilm(av, film, { width: 320, height: 240 });
    writeStill(av, join(folder, 'still.png'), 'png', av.AV_PIX_FMT_RGB24, 96, 54);
  });
  afterAll(async () => {
    await sessions.close();
    rmSync(folder, { recursive: true });
  });

  const contentOf = async (file: string): Promise<Content> => ({ ...(await probeFile(file)), file, name: 'film.mp4', digest: '00' });
  const planOf = async (file: string, options: Partial<MachineOptions>): Promise<MachinePlan> =>
    planMachine({ ...DEFAULT_OPTIONS, ...HEAD, renderer: 'content', content: await contentOf(file), ...options }, monotonicNowNs());
  const run = async (plan: MachinePlan, frames: number, tap?: Parameters<SessionRunner['run']>[5]): Promise<SessionOutcome> => {
    const window = { warmupMs: 0, warmupFrames: 2, measureMs: 0, measureFrames: frames, usageWindows: 1 };
    return await sessions.run(plan, window, 20_000, undefined, undefined, tap);
  };

  test.each(PATHS)('by %s no frame is torn, its number stands in each row, and drawing is charged to no path', async (path) => {
    const plan = await planOf(film, { path, sink: 'verify', crcEvery: 2, rateHz: 60 });
    expect(await run(plan, 30)).toMatchObject({ kind: 'done' });
    const host = new Counters(plan.hostCounters);
    expect([host.get(Counter.framesVerified) > 0, host.get(Counter.framesTorn)]).toEqual([true, 0]);
    expect(new Ledger(plan.guestLedger).bytesCopied(CopyStage.upload)).toBe(0);
  });

  test('its stream shows the pictures of the file, with bars beside them, and frame numbers in order', async () => {
    const plan = await planOf(film, { sink: 'encode', maxRefreshHz: null });
    const { port1, port2 } = new MessageChannel();
    const packets: Uint8Array[] = [];
    port1.on('message', ({ bytes }: StreamPacket) => packets.push(bytes.subarray(PACKET_ROOM)));
    expect(await run(plan, 20, { packets: port2, started: () => {} })).toMatchObject({ kind: 'done' });
    await new Promise((resolve) => setImmediate(resolve));
    port1.close();
    const stream = join(folder, 'stream.h264');
    writeFileSync(stream, Buffer.concat(packets));
    const block = codeBlock(HEAD.width, HEAD.height);
    const numbers: (number | null)[] = [];
    const greys: number[] = [];
    for await (const { width, pixels } of decodeH264(stream)) {
      const at = (x: number, y: number): number => pixels[y * width + x] & 255;
      const code = new Uint8ClampedArray(16 * block * 2 * block * 4);
      for (let i = 0; i < 16 * block * 2 * block; i++)
        code.fill(at(block + (i % (16 * block)), block + Math.floor(i / (16 * block))), 4 * i, 4 * i + 4);
      numbers.push(numberIn(code, block));
      greys.push(at(320, 200));
      // 4:3 in 16:9 leaves 80 columns on both sides.
      for (const x of [20, 620]) expect(at(x, 300)).toBeLessThan(8);
    }
    expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, i) => i));
    expect(numbers.length).toBeGreaterThanOrEqual(20);
    const known = Array.from({ length: 10 }, (_, picture) => greyOf(picture));
    for (const grey of greys) expect(Math.min(...known.map((one) => Math.abs(one - grey)))).toBeLessThan(6);
    expect(new Set(greys.map((grey) => known.findIndex((one) => Math.abs(one - grey) < 6))).size).toBeGreaterThan(1);
  });

  test('a picture is made once, however long it is shown', async () => {
    const plan = await planOf(join(folder, 'still.png'), { rateHz: 60 });
    expect(await run(plan, 20)).toMatchObject({ kind: 'done' });
    const { content } = plan;
    if (content === undefined) throw new Error('no room for pictures');
    expect([content.slots, new PictureTaker(content, true).number]).toEqual([1, 0]);
  });

  test('two heads show it, and a guest that was replaced goes on with it', async () => {
    const plan = await planOf(film, { heads: 2, rateHz: 60, sink: 'verify', faults: [{ name: 'guest-exits', frame: 9 }] });
    expect(await run(plan, 60)).toMatchObject({ kind: 'done' });
    const host = new Counters(plan.hostCounters);
    expect([host.get(Counter.framesVerified) > 0, host.get(Counter.framesTorn)]).toEqual([true, 0]);
  });

  test('a film of which a part is damaged is shown, and whoever runs the machine is told', async () => {
    const damaged = join(folder, 'damaged.mp4');
    writeFilm(av, damaged, { width: 320, height: 240 });
    const bytes = readFileSync(damaged);
    // Pictures lie before the index, which is at the end.
    bytes.fill(0xff, Math.floor(bytes.length * 0.4), Math.floor(bytes.length * 0.5));
    writeFileSync(damaged, bytes);
    const plan = await planOf(damaged, { rateHz: 60 });
    const stop = new AbortController();
    const told: string[] = [];
    sessions.onNotice = (text) => {
      told.push(text);
      stop.abort();
    };
    const window = { warmupMs: 0, warmupFrames: 0, measureMs: 20_000, measureFrames: 0, usageWindows: 1 };
    expect((await sessions.run(plan, window, 25_000, stop.signal)).kind).toBe('aborted');
    sessions.onNotice = () => {};
    expect(told).toEqual([expect.stringMatching(/^film\.mp4: a part cannot be decoded, what can is shown: ./)]);
  });

  test('a file that has gone by then fails its machine with why', async () => {
    const gone = join(folder, 'gone.mp4');
    writeFilm(av, gone);
    const plan = await planOf(gone, {});
    rmSync(gone);
    const outcome = await run(plan, 20);
    expect(outcome).toMatchObject({
      kind: 'failed',
      side: 'session',
      reason: expect.stringMatching(/film\.mp4 cannot be shown: .*No such file/),
    });
  });

  describe('by command', () => {
    const scanout = async (...argv: string[]): Promise<{ status: number; text: string }> => {
      const running = new Running(argv);
      return { status: await running.ended, text: running.text };
    };
    const measure = async (name: string, content: string): Promise<RunDocument> => {
      const out = join(folder, name);
      const { status, text } = await scanout(
        ...[
          'run',
          '--path',
          'udmabuf',
          '--resolution',
          '64x64',
          '--repetitions',
          '1',
          '--bare',
          '--out',
          out,
          '--content',
          join(folder, content),
        ],
      );
      expect([status, text]).toEqual([0, expect.stringContaining('udmabuf')]);
      return readRun(join(out, 'run.json'));
    };

    test('a run says what was shown, and is not compared with one that showed something else', async () => {
      const [scenario] = (await measure('film', 'film.mp4')).scenarios;
      expect(scenario).toMatchObject({
        renderer: 'content',
        settings: { content: expect.stringMatching(/^film\.mp4, h264 320x240, [0-9a-f]{8}$/) },
      });
      expect(scenario.id).toMatch(/^udmabuf-64x64-max-content-film\.mp4-[0-9a-f]{8}$/);
      expect(readFileSync(join(folder, 'film', 'report.md'), 'utf8')).toContain('film.mp4, h264 320x240');
      await measure('still', 'still.png');
      const { status, text } = await scanout('compare', join(folder, 'film/run.json'), join(folder, 'still/run.json'));
      expect([status, text]).toEqual([2, expect.stringContaining('no common scenarios')]);
    });

    test.each([
      ['run', 'none.mp4', [], 'none.mp4: there is no such file'],
      ['stream', '.', [], ': a folder, not a picture or a video'],
      ['run', '/dev/null', [], '--content /dev/null: not a file that can be read again and again'],
      ['view', 'text.mp4', [], 'text.mp4: it is no picture or video that can be read'],
      ['run', 'film.mp4', ['--renderer', 'paint'], '--content is shown in the place of what --renderer draws'],
      ['run', 'film.mp4', ['--path', 'copy', '--buffers', '1', '--damage', '9x9+0+0'], 'leave out --damage'],
      ['run', 'film.mp4', ['--suite', 'realguest'], '--content does not go with a recorded guest'],
      ['run', 'film.mp4', ['--suite', 'peers'], 'with stamps: leave out --content'],
    ])('%s --content %s %j is refused in a line', async (command, name, flags, said) => {
      writeFileSync(join(folder, 'text.mp4'), 'a film\n');
      const { status, text } = await scanout(command, '--content', name.startsWith('/') ? name : join(folder, name), ...flags);
      expect([status, text]).toEqual([2, expect.stringContaining(said)]);
      expect(text.trim().split('\n').length).toBe(1);
    });

    test('Ctrl-C ends a stream of a film, and its threads with it', async () => {
      const running = new Running(['stream', '--resolution', '320x192', '--content', film]);
      await running.says('token=');
      running.stop();
      expect(await running.ended).toBe(130);
    });
  });
});
