import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DEFAULT_OPTIONS, type MachineOptions } from '../../../core/machine/options.ts';
import { planParts } from '../../../core/machine/plan.ts';
import { monotonicNowNs } from '../../../core/measure/clock.ts';
import { pair, VhostUser } from '../../../core/protocol/vhost-user.ts';
import { Libc } from '../../../workers/native/libc.ts';
import { socketAddress } from '../../../workers/native/socket.ts';
import { FrontEnd } from '../../../workers/vhost-user/front-end.ts';
import { VhostUserHost } from '../../../workers/vhost-user/host.ts';
import type { HostNews } from '../../../workers/vhost-user/host-task.ts';

const loaded = Libc.load();

describe.skipIf(typeof loaded === 'string')('a vhost-user host', () => {
  const libc = loaded as Libc;
  let folder: string;
  let host: VhostUserHost;
  let news: HostNews[];
  let heard: (() => void)[];

  const until = async (found: (all: HostNews[]) => boolean): Promise<void> => {
    while (!found(news)) await new Promise<void>((resolve) => heard.push(resolve));
  };
  const start = async (options: Partial<MachineOptions> = {}): Promise<string> => {
    const socket = join(folder, 'gpu.sock');
    const plan = planParts({ ...DEFAULT_OPTIONS, logCapacity: 64, ...options }, [], monotonicNowNs());
    const task = {
      plan,
      socket,
      devices: [],
      connect: false,
      unsealed: false,
      once: false,
      send: null,
      state: null,
      record: null,
      frames: null,
    };
    host = new VhostUserHost(task, (one) => {
      news.push(one);
      for (const resolve of heard.splice(0)) resolve();
    });
    await until((all) => all.some(({ kind }) => kind === 'listening'));
    return socket;
  };
  /** Why the session ended. */
  const ending = async (): Promise<string | null> => {
    await until((all) => all.some(({ kind }) => kind === 'disconnected'));
    const last = news.find((one) => one.kind === 'disconnected');
    return last?.kind === 'disconnected' ? last.why : null;
  };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'scanout-vhost-'));
    news = [];
    heard = [];
  });
  afterEach(async () => {
    host.stop();
    await host.ended;
    expect(existsSync(join(folder, 'gpu.sock'))).toBe(false);
    rmSync(folder, { recursive: true });
  });

  test('offers what the options say, and one head of configuration', async () => {
    const front = FrontEnd.connect(libc, await start({ ring: 'packed' }));
    const { lo, hi } = front.features();
    // EDID, RESOURCE_BLOB, INDIRECT, EVENT_IDX, protocol features; VERSION_1, RING_PACKED.
    expect([lo, hi]).toEqual([0x7000000a, 0b101]);
    expect(front.protocolFeatures() & (1 << 9)).not.toBe(0);
    expect(front.config(8, 4).getUint32(0, true)).toBe(1);
    front.close();
    expect(await ending()).toBe('hung up');
  });

  const bad: [what: string, why: RegExp, send: (front: FrontEnd) => void][] = [
    ['an unknown request', /request 77 is unknown/, (front) => front.tell(77)],
    ['a payload that is too short', /SET_FEATURES has 4 bytes, not 8/, (front) => front.tell(VhostUser.SET_FEATURES, new Uint8Array(4))],
    ['a table of more regions than it has bytes', /names 3 regions in 8 bytes/, (front) => front.tell(VhostUser.SET_MEM_TABLE, pair(3, 0))],
    ['a queue that is not there', /there is no queue 2/, (front) => front.tell(VhostUser.SET_VRING_NUM, pair(2, 64))],
    ['a kick without its descriptor', /missing/, (front) => front.tell(VhostUser.SET_VRING_KICK, pair(0, 0))],
    ['features that were not offered', /were not offered/, (front) => front.setFeatures(1, 1)],
    [
      'file descriptors that nobody asked for',
      /SET_OWNER brings 2 file descriptors/,
      (front) => {
        const fds = [libc.eventfd(), libc.eventfd()];
        front.tell(VhostUser.SET_OWNER, new Uint8Array(0), fds);
      },
    ],
    [
      'a region that can be shrunk',
      /no F_SEAL_SHRINK/,
      (front) => {
        // An eventfd has no size either; a memfd without seals needs a file.
        const [fd] = unsealedFile(folder);
        front.setMemTable([{ gpa: 0, size: 4096, userAddress: 0, fileOffset: 0, fd }]);
      },
    ],
    [
      'a region past the end of its file',
      /of a file of 4096/,
      (front) => front.setMemTable([{ gpa: 0, size: 8192, userAddress: 0, fileOffset: 0, fd: libc.memfd('short', 4096) }]),
    ],
    [
      'regions that overlap',
      /overlaps/,
      (front) => {
        const fd = libc.memfd('twice', 8192);
        front.setMemTable([
          { gpa: 0, size: 8192, userAddress: 0, fileOffset: 0, fd },
          { gpa: 4096, size: 4096, userAddress: 0x10000, fileOffset: 0, fd },
        ]);
      },
    ],
  ];
  test.each(bad)('%s ends the session with a line, and the next front end is served', async (_what, why, send) => {
    const socket = await start();
    const before = openFiles();
    const front = FrontEnd.connect(libc, socket);
    send(front);
    expect(await ending()).toMatch(why);
    front.close();
    const next = FrontEnd.connect(libc, socket);
    expect(next.features().hi).toBe(1);
    next.close();
    await until((all) => all.filter(({ kind }) => kind === 'disconnected').length === 2);
    // What this test itself opened and did not close is what it sent; the host has closed all.
    expect(openFiles() - before).toBeLessThanOrEqual(2);
  });

  test('half a message and a hang-up end the session', async () => {
    const socket = await start();
    const fd = libc.socket();
    libc.connect(fd, socketAddress(socket));
    libc.write(fd, new Uint8Array([1, 0, 0, 0, 1]));
    const { closeSync } = await import('node:fs');
    closeSync(fd);
    expect(await ending()).toMatch(/in the middle of a message \(5 bytes\)/);
  });
});

const openFiles = (): number => readdirSync('/proc/self/fd').length;

function unsealedFile(folder: string): number[] {
  const { openSync, ftruncateSync } = process.getBuiltinModule('node:fs');
  const fd = openSync(join(folder, 'plain'), 'w+');
  ftruncateSync(fd, 4096);
  expect(readFileSync(join(folder, 'plain')).length).toBe(4096);
  return [fd];
}
