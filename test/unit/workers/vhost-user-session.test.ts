import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { Response } from '../../../core/protocol/constants.ts';
import { message, pair, VHOST_NEED_REPLY, VhostUser, VhostUserBackend } from '../../../core/protocol/vhost-user.ts';
import { writeUpdateCursor } from '../../../core/protocol/write.ts';
import { CONTROL_QUEUE, CURSOR_QUEUE } from '../../../core/ring/registers.ts';
import { Libc } from '../../../workers/native/libc.ts';
import { PACKED_BEGIN } from '../../../workers/vhost-user/back-end.ts';
import { TestGuest, TestHost, USER } from '../../support/vhost-guest.ts';

const OK = Response.OK_NODATA;
const MISSING = Response.ERR_INVALID_RESOURCE_ID;
const BAR = 0x1_0000_0000;
const BAR_BYTES = 65536;
const loaded = Libc.load();

describe.skipIf(typeof loaded === 'string')('a session of a vhost-user host', () => {
  const libc = loaded as Libc;
  let host: TestHost;
  let guest: TestGuest;
  const begin = async (ring: 'split' | 'packed' = 'split', ...rest: ConstructorParameters<typeof TestHost>): Promise<void> => {
    const [options, task] = rest;
    host = await new TestHost({ ring, ...options }, task).listening();
    guest = new TestGuest(libc, host, ring).begin();
  };
  /** Waits until all messages so far were carried out. */
  const settled = (): void => void guest.front.ask(VhostUser.GET_QUEUE_NUM);

  afterEach(async () => {
    guest.close();
    await host.end();
  });

  describe.each(['split', 'packed'] as const)('on %s rings', (ring) => {
    test('shows frames where they lie, and moves the cursor', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'scanout-frames-'));
      const frames = join(folder, 'frames');
      await begin(ring, {}, { frames });
      expect([guest.createBlob(2), guest.setScanout(2)]).toEqual([OK, OK]);
      for (let i = 0; i < 5; i++) expect(guest.show(2, 0x1000 + i)).toBe(true);
      guest.send((w, at) => writeUpdateCursor(w, at, 0x301, 0, 5, 7, 0, 0, 0), CURSOR_QUEUE);
      guest.front.close();
      expect(await host.ending()).toBe('hung up');
      const lines = readFileSync(frames, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      expect(lines.map(({ pixel }) => pixel)).toEqual([0, 1, 2, 3, 4].map((i) => `0x0000100${i}`));
      expect(lines.every(({ imported, resource }) => imported === true && resource === 2)).toBe(true);
      rmSync(folder, { recursive: true });
      expect(host.news.findLast(({ kind }) => kind === 'disconnected')).toMatchObject({ commands: 8, errors: 0 });
    });

    test('goes on after a pause with what was made, lap after lap; a driver that begins finds nothing', async () => {
      await begin(ring);
      expect([guest.createBlob(2), guest.setScanout(2)]).toEqual([OK, OK]);
      for (let i = 0; i < 90; i++) {
        expect(guest.show(2, i)).toBe(true);
        for (const queue of [CONTROL_QUEUE, CURSOR_QUEUE]) guest.start(queue, guest.front.stopQueue(queue));
      }
      // Disabled and enabled, without a word about where it stands.
      guest.front.tell(VhostUser.SET_VRING_ENABLE, pair(CONTROL_QUEUE, 0));
      guest.front.tell(VhostUser.SET_VRING_ENABLE, pair(CONTROL_QUEUE, 1));
      expect(guest.show(2, 7)).toBe(true);
      for (const queue of [CONTROL_QUEUE, CURSOR_QUEUE]) guest.front.stopQueue(queue);
      guest.newDriver();
      expect(guest.setScanout(2)).toBe(MISSING);
      expect([guest.createBlob(2), guest.setScanout(2)]).toEqual([OK, OK]);
      expect(guest.show(2, 8)).toBe(true);
    });

    test('a driver that begins while its cursor queue runs already keeps that queue', async () => {
      await begin(ring);
      guest.front.stopQueue(CURSOR_QUEUE);
      guest.front.stopQueue(CONTROL_QUEUE);
      guest.newDriver();
      guest.front.stopQueue(CONTROL_QUEUE);
      // The cursor queue runs; the control queue begins after it.
      guest.start(CONTROL_QUEUE, ring === 'packed' ? PACKED_BEGIN : 0);
      guest.send((w, at) => writeUpdateCursor(w, at, 0x301, 0, 5, 7, 0, 0, 0), CURSOR_QUEUE);
      expect(guest.createBlob(2)).toBe(OK);
    });

    test('rings and buffers survive a table that is the same, and rings one that lies elsewhere in the front end', async () => {
      await begin(ring);
      expect([guest.createBlob(2), guest.setScanout(2)]).toEqual([OK, OK]);
      guest.setTable();
      expect(guest.show(2, 1)).toBe(true);
      // The ring addresses as they were told lie in the new table too.
      guest.user = USER - 65536;
      guest.front.setMemTable([{ ...guest.region, userAddress: USER }]);
      expect(guest.show(2, 2)).toBe(true);
    });
  });

  test('a ring whose memory leaves and comes back in a new table goes on where its addresses then are', async () => {
    await begin();
    expect(guest.createBlob(2)).toBe(OK);
    const other = libc.memfd('other', 65536);
    // Another file behind the same addresses: the queues are stopped before and started after.
    const moved = { gpa: 0x8000_0000, size: 65536, userAddress: USER + 0x8000_0000, fileOffset: 0, fd: other };
    guest.setTable([moved]);
    guest.setTable();
    guest.front.setMemTable([{ ...guest.region, size: guest.region.size / 2 }]);
    // Its region left: the buffer is the new region's after ATTACH only, but the ring serves.
    expect(guest.setScanout(4711)).toBe(MISSING);
    libc.close(other);
  });

  test("a device's region leaves and returns: its buffers are revoked, ATTACH makes them usable again", async () => {
    await begin('split', {}, { devices: [{ name: 'gpu0', gpa: BAR, size: null }] });
    const bar = { gpa: BAR, size: BAR_BYTES, userAddress: USER + BAR, fileOffset: 0, fd: libc.memfd('bar', BAR_BYTES) };
    guest.setTable([bar]);
    expect([guest.createBlob(2, BAR), guest.setScanout(2)]).toEqual([OK, OK]);
    expect(guest.show(2, 1)).toBe(true);
    guest.setTable();
    settled();
    guest.setTable([bar]);
    settled();
    // Revoked: nothing of it is shown before its ATTACH.
    expect(guest.show(2, 2)).toBe(false);
    const detach = (w: Uint32Array, at: number): number => {
      w.fill(0, at, at + 8);
      w[at] = 0x107;
      w[at + 6] = 2;
      return 32;
    };
    guest.send(detach);
    const attached = guest.send((w, at) => {
      detach(w, at);
      w[at] = 0x106;
      w[at + 7] = 1;
      w.set([BAR % 2 ** 32, Math.floor(BAR / 2 ** 32), 16384, 0], at + 8);
      return 48;
    });
    expect(attached).toBe(OK);
    expect(guest.setScanout(2)).toBe(OK);
    expect(guest.show(2, 3)).toBe(true);
    libc.close(bar.fd);
  });

  test('answers what asks for an answer, and GET_CONFIG past its end without bytes', async () => {
    await begin();
    const { front } = guest;
    libc.write(front.fd, message(VhostUser.SET_OWNER, VHOST_NEED_REPLY, new Uint8Array(0)));
    const ack = front.answer(VhostUser.SET_OWNER);
    expect([ack.getUint32(0, true), ack.getUint32(4, true)]).toEqual([0, 0]);
    const ask = new Uint8Array(12 + 16);
    new DataView(ask.buffer).setUint32(0, 250, true);
    new DataView(ask.buffer).setUint32(4, 16, true);
    expect(front.ask(VhostUser.GET_CONFIG, ask).byteLength).toBe(0);
    front.setConfig(4, Uint8Array.of(1, 0, 0, 0));
    expect(front.config(0, 16).getUint32(8, true)).toBe(1);
  });

  test('a broken ring is signalled, and a driver that begins is served', async () => {
    await begin();
    const driver = guest.queues[CONTROL_QUEUE];
    driver.begin();
    driver.readable(0xf000_0000, 24);
    driver.submit(1);
    driver.publish();
    libc.write(guest.kick[CONTROL_QUEUE], new Uint8Array(new BigUint64Array([1n]).buffer));
    expect(guest.readable(guest.err[CONTROL_QUEUE])).toBe(true);
    for (const queue of [CONTROL_QUEUE, CURSOR_QUEUE]) guest.front.stopQueue(queue);
    guest.newDriver();
    expect(guest.createBlob(2)).toBe(OK);
    // And the session after one that ended broken.
    guest.front.stopQueue(CONTROL_QUEUE);
    guest.front.tell(VhostUser.SET_VRING_NUM, pair(CONTROL_QUEUE, 3));
    guest.front.tell(VhostUser.SET_VRING_KICK, pair(CONTROL_QUEUE, 0), [guest.kick[CONTROL_QUEUE]]);
    guest.front.tell(VhostUser.SET_VRING_ENABLE, pair(CONTROL_QUEUE, 1));
    expect(guest.readable(guest.err[CONTROL_QUEUE])).toBe(true);
    await host.until(() => host.lines.length > 0);
    expect(host.lines).toEqual([expect.stringMatching(/queue 0 cannot be opened: queue size 3/)]);
    guest.close();
    await host.ending();
    guest = new TestGuest(libc, host).begin();
    expect(guest.createBlob(2)).toBe(OK);
  });

  test('the socket for its own requests is taken, and NOFD queues run', async () => {
    await begin();
    const [theirs, ours] = libc.socketpair();
    guest.front.tell(VhostUser.SET_BACKEND_REQ_FD, new Uint8Array(0), [theirs]);
    guest.front.tell(VhostUser.SET_VRING_CALL, pair(CURSOR_QUEUE | 0x100, 0));
    settled();
    guest.post((w, at) => writeUpdateCursor(w, at, 0x301, 0, 5, 7, 0, 0, 0), CURSOR_QUEUE);
    expect(guest.createBlob(2)).toBe(OK);
    expect(guest.queues[CURSOR_QUEUE].popUsed()).toBe(true);
    expect(VhostUserBackend.CONFIG_CHANGE).toBe(2);
    for (const fd of [theirs, ours]) libc.close(fd);
  });
});
