import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadNodeAv } from '../../workers/encode/node-av.ts';
import { decodeH264 } from '../support/h264.ts';
import { drawn, expectFrames, expectGoodGuest, expectGoodSession, waited } from './flow.ts';
import { cache, Room } from './guest.ts';

describe.skipIf(cache === null || typeof loadNodeAv() === 'string')('an encoder behind a real guest', () => {
  let room: Room;
  beforeEach(() => {
    room = new Room();
  });
  afterEach(() => room.close());

  test("encodes imported flips from the guest's own pages: each is shown once, in order, and the stream decodes", async () => {
    const flips = 60;
    const output = join(room.folder, 'stream.h264');
    const flags = ['--once', '--list-limit', '8192', '--sink', 'encode', '--max-refresh', 'max', '--encoded', output];
    const host = await room.host(...flags);
    const guest = room.guest(host, { commands: `import ${flips}` });
    await expectGoodGuest(guest, ['import']);
    await expectGoodSession(host);
    const shown = drawn(host.frames());
    expectFrames(shown, flips, { waits: waited(guest) });
    expect(shown.every(({ imported }) => imported)).toBe(true);
    expect(await host.process.ended).toBe(0);
    const encoded = Number(/^(\d+) frames encoded/m.exec(host.process.lines.join('\n'))?.[1]);
    expect(encoded).toBeGreaterThan(0);
    let decoded = 0;
    for await (const { width, height } of decodeH264(output)) {
      if (width === 1920 && height === 1080) decoded++;
    }
    expect(decoded).toBe(encoded);
  });
});
