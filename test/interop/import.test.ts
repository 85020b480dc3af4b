import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  drawn,
  expectFrames,
  expectGoodGuest,
  expectGoodSession,
  expectImportedLife,
  expectRisingFences,
  named,
  requests,
  upTo,
  waited,
} from './flow.ts';
import { cache, Room } from './guest.ts';

const DEFAULT_LIST_LIMIT = 1024;
const BYTES_1080P = 1920 * 1080 * 4;

describe.skipIf(cache === null)('buffers of udmabuf, imported by PRIME', () => {
  let room: Room;
  beforeEach(() => {
    room = new Room();
  });
  afterEach(() => room.close());

  test.each([
    { resolution: '1080p', bytes: BYTES_1080P, ring: 'split', flips: 60 },
    { resolution: '4k', bytes: 4 * BYTES_1080P, ring: 'split', flips: 30 },
    { resolution: '1080p', bytes: BYTES_1080P, ring: 'packed', flips: 60 },
  ])('at $resolution over a $ring ring: each flip is shown once, in order, where it lies, and nothing is copied', async (scenario) => {
    const { resolution, bytes, ring, flips } = scenario;
    const host = await room.host('--once', '--list-limit', '8192', '--resolution', resolution, '--ring', ring);
    const guest = room.guest(host, { commands: `import ${flips}` });
    await expectGoodGuest(guest, ['import']);
    expect(await expectGoodSession(host)).toBe(0);
    const shown = drawn(host.frames());
    expectFrames(shown, flips, { waits: waited(guest) });
    expect(shown.every(({ imported }) => imported)).toBe(true);
    const [first, second] = shown.map(({ resource }) => resource);
    expect(shown.map(({ resource }) => resource)).toEqual(upTo(flips).map((i) => (i % 2 === 0 ? first : second)));
    const trace = host.trace();
    expect(trace.records[0]).toMatchObject({ kind: 'features', hi: ring === 'packed' ? 0b101 : 0b001 });
    const all = requests(trace);
    expectRisingFences(all);
    const lives = [first, second].map((one) =>
      expectImportedLife(all, one, bytes, shown.filter(({ resource }) => resource === one).length),
    );
    // Pages of the guest's that lie scattered: what the list limit is for.
    expect(Math.max(...lives)).toBeGreaterThan(DEFAULT_LIST_LIMIT);
  });

  test('past the list limit of udmabuf they are copied, no frame is lost, and the rest is imported', async () => {
    const flips = 30;
    const host = await room.host('--once');
    const guest = room.guest(host, { commands: `import ${flips}` });
    await expectGoodGuest(guest, ['import']);
    const copiedMB = await expectGoodSession(host);
    const frames = host.frames();
    const shown = drawn(frames);
    expectFrames(shown, flips, { waits: waited(guest) });
    const all = requests(host.trace());
    const entries = new Map(named(all, 'RESOURCE_CREATE_BLOB').map((created) => [created.resource, created.entries.length]));
    for (const { resource, imported } of frames) expect(imported).toBe((entries.get(resource) ?? 0) <= DEFAULT_LIST_LIMIT);
    // A whole frame for each flush of those that are not imported.
    const copied = frames.filter(({ imported }) => !imported).length;
    expect(copied).toBeGreaterThan(0);
    expect(copiedMB).toBeCloseTo((copied * BYTES_1080P) / 1e6, 0);
  });
});
