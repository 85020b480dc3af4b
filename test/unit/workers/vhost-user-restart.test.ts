import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { placeQueue } from '../../../core/machine/testing/host-rig.ts';
import { Command, Format, Response } from '../../../core/protocol/constants.ts';
import { writeCreate2d, writeResource } from '../../../core/protocol/write.ts';
import { Libc } from '../../../workers/native/libc.ts';
import { TestGuest, TestHost } from '../../support/vhost-guest.ts';

const OK = Response.OK_NODATA;
/** In the file of where rings stand: the control queue's position. */
const RECORD_USED = 16 + 4;
const loaded = Libc.load();

describe.each(['split', 'packed'] as const)('a host that is started again under a guest that runs, %s rings', (ring) => {
  if (typeof loaded === 'string') return;
  const libc = loaded;
  let folder: string;
  const hosts: TestHost[] = [];
  const start = async (state: string | null): Promise<TestHost> => {
    const host = await new TestHost({ ring }, { state }).listening();
    hosts.push(host);
    return host;
  };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'scanout-restart-'));
  });
  afterEach(async () => {
    for (const host of hosts.splice(0)) await host.end();
    rmSync(folder, { recursive: true });
  });

  test('goes on with what the guest had set up: its next frame is shown without a word from it', async () => {
    const state = join(folder, 'state');
    const guest = new TestGuest(libc, await start(state), ring).begin();
    expect([guest.createBlob(2), guest.createBlob(3), guest.setScanout(2)]).toEqual([OK, OK, OK]);
    expect(guest.show(2, 1)).toBe(true);
    guest.front.close();

    const second = await start(state);
    // The interrupt of an answer may have got lost: there is one more.
    libc.read(guest.call[0], new Uint8Array(8));
    guest.goOn(second);
    expect(guest.readable(guest.call[0])).toBe(true);
    expect(guest.show(2, 2)).toBe(true);
    await second.until((all) => all.some(({ kind }) => kind === 'line'));
    expect(second.lines).toEqual(['the guest goes on: 3 of 3 kept requests were carried out again']);
    expect([guest.setScanout(3), guest.show(3, 3)]).toEqual([OK, true]);
    guest.front.close();

    // And once more, with what came since.
    guest.goOn(await start(state));
    expect(guest.show(3, 4)).toBe(true);
    guest.close();
  });

  test('without a state says so, and answers what it does not know with an error', async () => {
    const guest = new TestGuest(libc, await start(null), ring).begin();
    expect([guest.createBlob(2), guest.setScanout(2)]).toEqual([OK, OK]);
    // A packed ring's place is known to a front end that has asked for it: both positions, with their wrap counters.
    const bases = [0, 1].map((queue) => guest.front.stopQueue(queue));
    guest.front.close();
    expect(bases).toEqual(ring === 'packed' ? [0x80028002, 0x80008000] : [2, 0]);
    const second = await start(null);
    guest.goOn(second, bases);
    expect(guest.setScanout(2)).toBe(Response.ERR_INVALID_RESOURCE_ID);
    await second.until((all) => all.some(({ kind }) => kind === 'line'));
    expect(second.lines).toEqual([expect.stringMatching(/^the guest goes on with a host that knows nothing of it/)]);
    guest.close();
  });

  // By 127 requests a packed ring of 64 comes to where it once went on.
  test.each([1, 127])('believes a front end that knows more than its file: %i requests were served elsewhere since', async (count) => {
    const state = join(folder, 'state');
    const guest = new TestGuest(libc, await start(state), ring).begin();
    const stop = (): number[] => {
      const bases = [0, 1].map((queue) => guest.front.stopQueue(queue));
      guest.front.close();
      return bases;
    };
    expect(guest.createBlob(2)).toBe(OK);
    guest.goOn(await start(state), stop());
    expect(guest.setScanout(2)).toBe(OK);
    guest.goOn(await start(null), stop());
    for (let i = 1; i < count; i++) guest.setScanout(2);
    expect(guest.createBlob(3)).toBe(OK);
    const bases = stop();
    expect(bases[0]).toBe(ring === 'split' ? 2 + count : count === 1 ? 0x80038003 : 0x80018001);
    guest.goOn(await start(state), bases);
    expect([guest.createBlob(3), guest.setScanout(3), guest.show(3, 7)]).toEqual([OK, OK, true]);
    guest.close();
  });

  // As the split ring of a host looks that was killed right before, or right after, the store of a used index.
  test.skipIf(ring === 'packed').each([false, true])(
    'answers once what was kept but not answered yet (its answer seen: %s)',
    async (isSeen) => {
      const state = join(folder, 'state');
      let host = await start(state);
      const guest = new TestGuest(libc, host, ring).begin();
      const unref = (w: Uint32Array, at: number): number => writeResource(w, at, Command.RESOURCE_UNREF, 3);
      const detach = (w: Uint32Array, at: number): number => writeResource(w, at, Command.RESOURCE_DETACH_BACKING, 2);
      const create = (w: Uint32Array, at: number): number => writeCreate2d(w, at, 3, Format.B8G8R8X8, 64, 64);
      const used = placeQueue(0, guest).config.deviceAddress / 2 + 1;
      expect(guest.createBlob(2)).toBe(OK);
      for (const write of [create, unref, detach]) {
        expect(guest.send(write)).toBe(OK);
        guest.front.close();
        await host.stop();
        // Its use is noted as begun and not as ended.
        const file = `${state}.rings`;
        const rings = new Int32Array(new Uint8Array(readFileSync(file)).buffer);
        expect(rings[RECORD_USED]).toBe(guest.ram.u16[used]);
        rings[RECORD_USED]--;
        writeFileSync(file, rings, { flag: 'r+' });
        if (!isSeen) {
          guest.ram.u16[used]--;
          guest.ram.u32[guest.response / 4] = 0;
        }
        host = await start(state);
        guest.goOn(host);
        if (!isSeen) {
          // The guest's driver has taken this answer: it sees the same one once more by the index alone.
          while (guest.ram.u16[used] !== rings[RECORD_USED] + 1) expect(guest.readable(guest.call[0])).toBe(true);
        }
        expect(guest.ram.u32[guest.response / 4]).toBe(OK);
      }
      expect([guest.send(create), guest.send(detach)]).toEqual([OK, Response.ERR_UNSPEC]);
      guest.close();
    },
  );

  test('has nothing of a driver whose successor begins', async () => {
    const state = join(folder, 'state');
    const first = new TestGuest(libc, await start(state), ring).begin();
    expect([first.createBlob(2), first.setScanout(2)]).toEqual([OK, OK]);
    first.close();
    const next = new TestGuest(libc, await start(state), ring).begin();
    expect(next.setScanout(2)).toBe(Response.ERR_INVALID_RESOURCE_ID);
    next.close();
  });
});
