import { closeSync, ftruncateSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Random } from '../../../core/memory/random.ts';
import { memTable, message, pair, SHAPES, type TableRegion, VHOST_HEADER, VhostUser, writeU64 } from '../../../core/protocol/vhost-user.ts';
import { writeFlush } from '../../../core/protocol/write.ts';
import { Libc } from '../../../workers/native/libc.ts';
import { RAM_BYTES, TestGuest, type TestHost, USER } from '../../support/vhost-guest.ts';
import { Peers } from '../../support/vhost-peers.ts';

const loaded = Libc.load();
const NOTHING = new Uint8Array(0);

describe.skipIf(typeof loaded === 'string')('a vhost-user host whose front end is hostile', () => {
  const libc = loaded as Libc;
  let peers: Peers;
  let host: TestHost;

  const begin = async (...rest: ConstructorParameters<typeof TestHost>): Promise<void> => {
    peers = await Peers.begin(libc, ...rest);
    ({ host } = peers);
  };
  /** So many eventfds. */
  const events = (count: number): number[] => Array.from({ length: count }, () => libc.eventfd());
  const closeAll = (fds: readonly number[]): void => {
    for (const fd of fds) libc.close(fd);
  };

  beforeEach(() => begin());
  afterEach(() => peers.end());

  test('garbage at any byte of any message ends its session, or is what it says', async () => {
    for (const [request, { least }] of SHAPES) {
      const good = message(request, 0, new Uint8Array(least));
      for (let at = 0; at < Math.min(good.length, 24); at++) {
        const bytes = good.slice();
        bytes[at] ^= 0xff;
        expect(await peers.attack((socket) => socket.send(bytes))).toEqual(expect.any(String));
      }
    }
  });

  test('bytes at random end their session', async () => {
    const seed = 20261123;
    const random = new Random(seed);
    for (let i = 0; i < 150; i++) {
      const bytes = Uint8Array.from({ length: 1 + random.below(300) }, () => random.below(256));
      // Half of them with a header that is one.
      if (i % 2 === 0) bytes.set(message(1 + random.below(34), random.below(16) & ~4, NOTHING).subarray(0, Math.min(12, bytes.length)));
      expect(await peers.attack((socket) => socket.send(bytes)), `seed ${seed}, ${i}`).toEqual(expect.any(String));
    }
  });

  test('every message with 0 to 9 file descriptors: those it does not want end the session, and all are closed', async () => {
    for (const [request, { name, least, leastFds, mostFds }] of SHAPES) {
      const bytes = message(request, 0, new Uint8Array(least));
      for (let count = 0; count <= 9; count++) {
        const fds = events(count);
        // In two parts: more than one message may carry.
        const why = await peers.attack((socket) => {
          socket.send(bytes.subarray(0, 6), fds.slice(0, 5));
          socket.send(bytes.subarray(6), fds.slice(5));
        });
        closeAll(fds);
        if (count < leastFds || count > mostFds) expect(why, `${name} with ${count}`).toMatch(/file descriptors/);
      }
    }
  });

  test('every message of another size ends the session before its payload', async () => {
    for (const [request, { name, least, most }] of SHAPES) {
      for (const size of [least - 1, most + 1, 0x7fffffff, 0xffffffff]) {
        if (size < 0) continue;
        const bytes = message(request, 0, NOTHING);
        new DataView(bytes.buffer).setUint32(8, size, true);
        expect(await peers.attack((socket) => socket.send(bytes))).toMatch(new RegExp(`${name} has ${size} bytes`));
      }
    }
  });

  test('a front end that vanishes after any message, or in the middle of it, leaves nothing', async () => {
    const ram = libc.memfd('ram', RAM_BYTES);
    const table = memTable([{ gpa: 0, size: RAM_BYTES, userAddress: USER, fileOffset: 0 }]);
    const addresses = new Uint8Array(40);
    [USER + 0x10000, USER + 0x11000, USER + 0x10800].forEach((address, i) => {
      writeU64(new DataView(addresses.buffer), 8 + 8 * i, address);
    });
    const fds = events(3);
    const flow: [request: number, payload: Uint8Array, fds?: number[]][] = [
      [VhostUser.GET_FEATURES, NOTHING],
      [VhostUser.SET_PROTOCOL_FEATURES, pair(1 << 9, 0)],
      [VhostUser.SET_BACKEND_REQ_FD, NOTHING, [fds[2]]],
      [VhostUser.SET_OWNER, NOTHING],
      [VhostUser.SET_VRING_CALL, pair(0, 0), [fds[1]]],
      [VhostUser.SET_VRING_ERR, pair(0, 0), [fds[1]]],
      [VhostUser.SET_FEATURES, pair(0x40000000, 1)],
      [VhostUser.SET_MEM_TABLE, table, [ram]],
      [VhostUser.SET_VRING_NUM, pair(0, 64)],
      [VhostUser.SET_VRING_BASE, pair(0, 0)],
      [VhostUser.SET_VRING_ADDR, addresses],
      [VhostUser.SET_VRING_KICK, pair(0, 0), [fds[0]]],
      [VhostUser.SET_VRING_ENABLE, pair(0, 1)],
      [VhostUser.GET_VRING_BASE, pair(0, 0)],
    ];
    for (let count = 0; count <= flow.length; count++) {
      for (const half of [0, 1, VHOST_HEADER, VHOST_HEADER + 1]) {
        const why = await peers.attack((socket) => {
          for (const [request, payload, carried] of flow.slice(0, count)) socket.send(message(request, 0, payload), carried);
          if (half > 0 && count < flow.length) {
            const [request, payload, carried] = flow[count];
            socket.send(message(request, 0, payload).subarray(0, half), carried);
          }
        });
        expect(why, `${count} messages and ${half} bytes`).toMatch(/^hung up/);
      }
    }
    closeAll([...fds, ram]);
  });

  test('what is no memory, or could shrink, is no region', async () => {
    await host.end();
    for (const unsealed of [false, true]) {
      await begin({}, { unsealed });
      const plain = openSync(join(host.folder, 'plain'), 'w+');
      ftruncateSync(plain, 4096);
      const [one, other] = libc.socketpair();
      const readOnly = openSync(join(host.folder, 'plain'), 'r');
      const kinds = {
        eventfd: libc.eventfd(),
        socket: one,
        directory: openSync(host.folder, 'r'),
        zero: openSync('/dev/zero', 'r+'),
        readOnly,
        ...(unsealed ? {} : { plain }),
      };
      for (const [kind, fd] of Object.entries(kinds)) {
        const region = memTable([{ gpa: 0, size: 4096, userAddress: USER, fileOffset: 0 }]);
        const why = await peers.attack((socket) => socket.send(message(VhostUser.SET_MEM_TABLE, 0, region), [fd]));
        expect(why, kind).toMatch(/the region at 0x0 cannot be mapped/);
      }
      for (const fd of [...new Set([...Object.values(kinds), plain, other])]) closeSync(fd);
      if (!unsealed) await peers.end();
    }
  });

  const at = (region: Partial<TableRegion>): TableRegion => ({ gpa: 0, size: 8192, userAddress: USER, fileOffset: 0, ...region });
  const impossible: [what: string, regions: TableRegion[]][] = [
    ['overlap', [at({}), at({ gpa: 4096, userAddress: USER + 8192 })]],
    ['are the same twice', [at({}), at({})]],
    ['have no size', [at({ size: 0 })]],
    ['have half a page', [at({ size: 2048 })]],
    ['begin within a page', [at({ gpa: 2048 })]],
    ['begin within a page of the file', [at({ size: 4096, fileOffset: 2048 })]],
    ['pass the end of the file', [at({ fileOffset: 4096 })]],
    ['begin past it', [at({ fileOffset: 2 ** 52 })]],
    ['are larger than it', [at({ size: 8 * 1024 ** 3 })]],
    ['end past 2^53', [at({ gpa: 2 ** 53 - 4096 })]],
    ['begin at 2^64 − 1', [at({ gpa: 2 ** 64 - 2048 })]],
    ['are 2^64 − 1 bytes', [at({ size: 2 ** 64 - 2048 })]],
  ];
  test.each(impossible)('regions that %s end the session', async (_what, regions) => {
    const fd = libc.memfd('ram', 8192);
    const fds = regions.map(() => fd);
    // Twice: the second table is compared with the first.
    const why = await peers.attack((socket) => {
      socket.send(message(VhostUser.SET_MEM_TABLE, 0, memTable([at({})])), [fd]);
      socket.send(message(VhostUser.SET_MEM_TABLE, 0, memTable(regions)), fds);
    });
    closeSync(fd);
    expect(why).toMatch(/cannot be (mapped|taken)/);
  });

  test('ring addresses outside memory end the session; rings that straddle its end, or of sizes that no ring has, are told and signalled', async () => {
    const guest = new TestGuest(libc, host).begin();
    peers.sessions++;
    const { front, kick, call } = guest;
    const end = USER + RAM_BYTES;
    const good = { size: 64, base: 0, descriptor: USER, avail: USER + 0x1000, used: USER + 0x2000, kick: kick[0], call: call[0] };
    const bad = [
      { ...good, descriptor: end - 512 },
      { ...good, used: end - 16 },
      { ...good, descriptor: USER + 8 },
      { ...good, used: USER + 0x1001 },
      { ...good, used: USER },
      { ...good, size: 3 },
      { ...good, size: 2048 },
      { ...good, size: 65535 },
      { ...good, size: 0xffffffff },
    ];
    for (const setup of bad) {
      front.stopQueue(0);
      front.startQueue(0, setup);
      expect(guest.readable(guest.err[0])).toBe(true);
    }
    await host.until(() => host.lines.length === bad.length);
    for (const queue of [0, 1]) front.stopQueue(queue);
    // Without a size there is nothing to start.
    front.startQueue(0, { ...good, size: 0 });
    front.stopQueue(0);
    guest.newDriver();
    expect(guest.createBlob(2)).toBe(0x1100);
    front.stopQueue(0);
    front.startQueue(0, { ...good, avail: end });
    expect(await peers.ending()).toMatch(/queue 0 does not lie in the memory table/);
    guest.close();
  });

  test('kicks, interrupts and errors are eventfds or end the session; a full one makes nobody wait', async () => {
    const [one, other] = libc.socketpair();
    const zero = openSync('/dev/zero', 'r+');
    for (const request of [VhostUser.SET_VRING_KICK, VhostUser.SET_VRING_CALL, VhostUser.SET_VRING_ERR]) {
      for (const fd of [one, zero]) {
        expect(await peers.attack((socket) => socket.send(message(request, 0, pair(0, 0)), [fd]))).toMatch(/is no eventfd/);
      }
    }
    const [event] = events(1);
    const unknown = message(VhostUser.SET_VRING_KICK, 0, pair(5, 0));
    expect(await peers.attack((socket) => socket.send(unknown, [event]))).toBe('there is no queue 5');
    libc.close(event);
    const guest = new TestGuest(libc, host).begin();
    peers.sessions++;
    const full = new Uint8Array(new BigUint64Array([0xfffffffffffffffen]).buffer);
    libc.write(guest.call[0], full);
    for (let i = 2; i < 12; i++) {
      guest.post((w, word) => writeFlush(w, word, 0, 0, 64, 64, i));
      // Not by the interrupt, which cannot come.
      while (!guest.queues[0].popUsed()) guest.front.features();
    }
    guest.close();
    expect(await peers.ending()).toBe('hung up');
    for (const fd of [one, other, zero]) closeSync(fd);
  });
});
