import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { drawn, expectFrames, expectGoodGuest, expectGoodSession, named, requests, waited } from './flow.ts';
import { cache, Room } from './guest.ts';

/** As many as the change of the display takes its time in. */
const FLIPS = 200;

describe.skipIf(cache === null)('a display that is changed under a guest that runs', () => {
  let room: Room;
  beforeEach(() => {
    room = new Room();
  });
  afterEach(() => room.close());

  test("the kernel asks for displays and EDIDs again after the config interrupt, clears the event, and the display's mode is the new one", async () => {
    const host = await room.host('--once', '--list-limit', '8192', '--control');
    const guest = room.guest(host, { commands: `import ${FLIPS};import 20` });
    await guest.until(/^flip 40$/);
    host.process.write('display 0 1280x720\n');
    await host.process.until(/^ok$/);
    await expectGoodGuest(guest, ['import', 'import']);
    expect(await expectGoodSession(host)).toBe(0);
    // The first client goes on with the mode that it has; who asks afterwards is told the new one.
    expect(guest.lines.filter((line) => line.startsWith('mode '))).toEqual(['mode 1920x1080', 'mode 1280x720']);
    const shown = drawn(host.frames());
    expectFrames(shown.slice(0, FLIPS + 1), FLIPS, { waits: waited(guest) });
    expectFrames(shown.slice(FLIPS + 1), 20, { waits: waited(guest) });
    expect(shown.map(({ height }) => height)).toEqual([...new Array<number>(FLIPS + 1).fill(1080), ...new Array<number>(21).fill(720)]);

    const all = requests(host.trace());
    // At probe, and for the one change: had the event not been cleared, each config interrupt would ask again.
    expect([named(all, 'GET_EDID').length, named(all, 'GET_DISPLAY_INFO').length]).toEqual([2, 2]);
    const asked = all.findLastIndex(({ name }) => name === 'GET_DISPLAY_INFO');
    const flushes = (part: typeof all): number => named(part, 'RESOURCE_FLUSH').length;
    expect(flushes(all.slice(0, asked))).toBeGreaterThan(40);
    // While the first client draws.
    expect(flushes(all.slice(0, asked))).toBeLessThan(FLIPS);
  });
});
