import { closeSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { memTable, message, VhostUser } from '../../../core/protocol/vhost-user.ts';
import { writeFlush } from '../../../core/protocol/write.ts';
import { Libc } from '../../../workers/native/libc.ts';
import { FdSocket, socketAddress } from '../../../workers/native/socket.ts';
import { FrontEnd } from '../../../workers/vhost-user/front-end.ts';
import { TestGuest, TestHost, USER } from '../../support/vhost-guest.ts';
import { openFiles, Peers } from '../../support/vhost-peers.ts';

const loaded = Libc.load();
const NOTHING = new Uint8Array(0);
const maps = (): number => readFileSync('/proc/self/maps', 'utf8').split('\n').length;

describe.skipIf(typeof loaded === 'string')('a vhost-user host and its front ends, one after the other', () => {
  const libc = loaded as Libc;
  let peers: Peers;
  let host: TestHost;

  beforeEach(async () => {
    peers = await Peers.begin(libc);
    ({ host } = peers);
  });
  afterEach(() => peers.end());

  test('a front end that never reads ends its session', async () => {
    const socket = peers.connect();
    const ask = message(VhostUser.GET_FEATURES, 0, NOTHING);
    const why = peers.ending();
    let ended = false;
    void why.then(() => {
      ended = true;
    });
    while (!ended) {
      try {
        for (let i = 0; i < 100; i++) socket.send(ask);
      } catch {
        // Full, or ended.
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await why).toMatch(/does not read/);
    socket.close();
  });

  test('a second front end waits for the end of the first', async () => {
    const first = FrontEnd.connect(libc, host.socket);
    first.features();
    const second = FrontEnd.connect(libc, host.socket);
    second.tell(VhostUser.GET_FEATURES);
    first.features();
    expect(second.hasAnswer).toBe(false);
    first.close();
    expect(second.answer(VhostUser.GET_FEATURES).byteLength).toBe(8);
    second.close();
    peers.sessions += 2;
  });

  test('a front end that waits when the last session ends is hung up on', async () => {
    const one = await new TestHost({}, { once: true }).listening();
    const first = FrontEnd.connect(libc, one.socket);
    const second = FrontEnd.connect(libc, one.socket);
    first.features();
    first.close();
    await one.host.ended;
    expect(() => second.features()).toThrow(/hung up|EPIPE/);
    second.close();
    await one.end();
  });

  test('thousands of sessions, each with memory of another size, leave files, maps and memory as they were', async () => {
    const rounds = 1000;
    // A session's own memory is freed when it is collected, some hundreds of sessions later: about two maps each.
    const uncollected = 2500;
    const file = libc.memfd('ram', rounds * 4096);
    const cycle = async (i: number): Promise<void> => {
      await peers.attack((socket) => {
        socket.send(message(VhostUser.SET_MEM_TABLE, 0, memTable([{ gpa: 0, size: 4096 * (1 + i), userAddress: USER, fileOffset: 0 }])), [
          file,
        ]);
        if (i % 3 === 0) socket.send(message(VhostUser.GET_FEATURES, 0, NOTHING));
      });
    };
    for (let i = 0; i < rounds; i += 10) await cycle(i);
    const atFirst = { files: openFiles(), maps: maps() };
    for (let i = 0; i < 4 * rounds; i++) await cycle(i % rounds);
    expect(openFiles()).toBe(atFirst.files);
    expect(maps() - atFirst.maps).toBeLessThan(uncollected);
    closeSync(file);
  });

  test('a path that cannot be a socket is said; a host that lives is left alone; what a dead one left is replaced', async () => {
    const refused = async (socket: string): Promise<string> => {
      const one = new TestHost({}, { socket });
      const why = await one.host.ended.then(
        () => 'ended',
        (error: Error) => error.message,
      );
      return why;
    };
    writeFileSync(join(host.folder, 'file'), 'x');
    mkdirSync(join(host.folder, 'folder'));
    expect(await refused(join(host.folder, 'file'))).toMatch(/no socket; name another path/);
    expect(readFileSync(join(host.folder, 'file'), 'utf8')).toBe('x');
    expect(await refused(join(host.folder, 'folder'))).toMatch(/no socket; name another path/);
    expect(await refused(join(host.folder, 'x'.repeat(120)))).toMatch(/ENAMETOOLONG/);
    expect(await refused('')).toMatch(/needs a path/);
    expect(await refused(join(host.folder, 'missing', 'gpu.sock'))).toMatch(/ENOENT/);
    expect(await refused(host.socket)).toMatch(/another program uses it/);
    expect(host.news.some(({ kind }) => kind === 'connected')).toBe(false);
    const left = libc.socket();
    libc.bind(left, socketAddress(join(host.folder, 'left')));
    libc.close(left);
    const next = await new TestHost({}, { socket: join(host.folder, 'left') }).listening();
    await next.end();
  });

  describe('is stopped', () => {
    const states: [string, (socket: FdSocket) => void][] = [
      ['before it says anything', () => {}],
      ['in the middle of a message', (socket) => socket.send(Uint8Array.of(1, 0, 0))],
      ['after a question', (socket) => socket.send(message(VhostUser.GET_FEATURES, 0, NOTHING))],
    ];
    test.each(states)('%s', async (_state, send) => {
      const one = await new TestHost().listening();
      const fd = libc.socket();
      libc.connect(fd, socketAddress(one.socket));
      await one.until((all) => all.some(({ kind }) => kind === 'connected'));
      const socket = new FdSocket(libc, fd, 64);
      send(socket);
      await one.stop();
      expect(await one.ending()).toBe(null);
      socket.close();
      await one.end();
    });

    test('or its front end vanishes, while the display holds a frame', async () => {
      for (const end of ['stop', 'vanish'] as const) {
        const one = await new TestHost({ rateHz: 1 }).listening();
        const guest = new TestGuest(libc, one).begin();
        expect([guest.createBlob(2), guest.setScanout(2)]).toEqual([0x1100, 0x1100]);
        guest.post((w, word) => writeFlush(w, word, 0, 0, 64, 64, 2));
        if (end === 'stop') await one.stop();
        guest.close();
        expect(await one.ending()).toBe(end === 'stop' ? null : 'hung up');
        await one.end();
      }
    });
  });
});
