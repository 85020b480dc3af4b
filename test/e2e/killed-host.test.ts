import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Random } from '../../core/memory/random.ts';
import { Response } from '../../core/protocol/constants.ts';
import { writeFlush } from '../../core/protocol/write.ts';
import { Libc } from '../../workers/native/libc.ts';
import { Process } from '../interop/process.ts';
import { PIXELS, TestGuest } from '../support/vhost-guest.ts';

const LAUNCHER = join(import.meta.dirname, '../../bin/scanout.js');
const OK = Response.OK_NODATA;
const SEED = 20261125;
const KILLS = 4;
/** Each host takes a second or more to start on a busy machine. */
const TIMEOUT_MS = 120_000;
const loaded = Libc.load();

describe.each(['split', 'packed'] as const)(
  'scanout host --state, killed under a guest that runs, %s rings',
  { timeout: TIMEOUT_MS },
  (ring) => {
    if (typeof loaded === 'string') return;
    const libc = loaded;
    let folder: string;
    let socket: string;
    let hosts: Process[];
    let guest: TestGuest;
    /** Number of the frame that was drawn last: the first pixel of each. */
    let frame: number;

    const start = async (rate: string): Promise<Process> => {
      const frames = join(folder, `frames-${hosts.length}`);
      const flags = ['--vhost-user', socket, '--state', join(folder, 'state'), '--ring', ring, '--rate', rate, '--frames', frames];
      const host = new Process('the host', process.execPath, [LAUNCHER, 'host', ...flags]);
      hosts.push(host);
      await host.until(/^listening at /);
      return host;
    };
    const kill = async (host: Process): Promise<void> => {
      host.kill('SIGKILL');
      await host.ended;
      guest.front.close();
    };
    const post = (id: number): void => {
      guest.ram.u32[PIXELS / 4] = ++frame;
      guest.post((w, at) => writeFlush(w, at, 0, 0, 64, 64, id));
    };
    /** First pixels of what the last host has shown, which ends. */
    const shown = async (host: Process): Promise<number[]> => {
      host.kill('SIGTERM');
      await host.ended;
      const lines = readFileSync(join(folder, `frames-${hosts.length - 1}`), 'utf8')
        .trim()
        .split('\n');
      return lines.map((line) => Number((JSON.parse(line) as { pixel: string }).pixel));
    };

    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), 'scanout-killed-'));
      socket = join(folder, 'gpu.sock');
      hosts = [];
      frame = 0;
    });
    afterEach(async () => {
      for (const host of hosts) {
        host.kill('SIGKILL');
        await host.ended;
      }
      guest.close();
      rmSync(folder, { recursive: true });
    });

    test('what was in flight comes again, once and in its order; what was answered does not', async () => {
      let host = await start('1');
      guest = new TestGuest(libc, { socket }, ring).begin();
      expect([guest.createBlob(2), guest.createBlob(3), guest.setScanout(2)]).toEqual([OK, OK, OK]);
      for (let round = 0; round < 2; round++) {
        // At a vblank: the next one is a second away.
        expect(guest.show(2 + round, ++frame)).toBe(true);
        post(2 + round);
        // Made and shown behind it: carried out at once, answered after it.
        const id = 3 + round;
        guest.post((w, at) => writeFlush(w, at, 0, 0, 64, 64, 77), 0, 1);
        // Messages are looked at after the rings.
        for (let i = 0; i < 3; i++) guest.front.features();
        await kill(host);
        const [driver] = guest.queues;
        expect(driver.popUsed()).toBe(false);
        host = await start('1');
        guest.goOn({ socket });
        expect([guest.answer(0, 0), guest.answer(0, 1)]).toEqual([OK, Response.ERR_INVALID_RESOURCE_ID]);
        expect([driver.popUsed(), guest.setScanout(id)]).toEqual([false, OK]);
        if (round === 0) expect(guest.createBlob(4)).toBe(OK);
      }
      expect(guest.show(4, ++frame)).toBe(true);
      // Frames 1 and 3 were answered by hosts before; 4 was in flight.
      expect(await shown(host)).toEqual([4, 5]);
      expect(host.lines).toContain('the guest goes on: 4 of 4 kept requests were carried out again');
    });

    test(`at any moment, ${KILLS} times: each frame is answered once, and none that was is shown again`, async () => {
      const random = new Random(SEED);
      let host = await start('max');
      guest = new TestGuest(libc, { socket }, ring).begin();
      expect([guest.createBlob(2), guest.setScanout(2)]).toEqual([OK, OK]);
      let answered = 0;
      for (let i = 0; i < KILLS; i++) {
        // From outside: this thread waits for answers meanwhile.
        const delay = (20 + random.below(100)) / 1000;
        spawn('sh', ['-c', `sleep ${delay}; kill -9 ${host.pid}`], { stdio: 'ignore' });
        for (;;) {
          post(2);
          const answer = guest.answerOrEnd();
          if (answer === null) break;
          expect(answer, `seed ${SEED}, kill ${i}`).toBe(OK);
          answered++;
        }
        await kill(host);
        host = await start('max');
        guest.goOn({ socket });
        expect(guest.answer(), `seed ${SEED}, kill ${i}`).toBe(OK);
        answered++;
      }
      const inFlight = frame;
      expect([answered, frame > KILLS, guest.queues[0].popUsed()]).toEqual([frame, true, false]);
      for (let i = 0; i < 5; i++) expect(guest.show(2, ++frame)).toBe(true);
      const last = await shown(host);
      // The frame in flight may have been answered right before the end.
      expect(last.slice(-5)).toEqual([1, 2, 3, 4, 5].map((n) => inFlight + n));
      expect(last.slice(0, -5).filter((one) => one !== inFlight)).toEqual([]);
    });
  },
);
