import { existsSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { drawn, expectFrames, expectGoodGuest, expectGoodSession, expectRisingFences, named, requests, waited } from './flow.ts';
import { cache, Room } from './guest.ts';

/** More flips than a guest gets to. */
const ENDLESS = 1_000_000;
const EXIT_INTERRUPTED = 130;

describe.skipIf(cache === null)('a host and drivers that come and go', () => {
  let room: Room;
  beforeEach(() => {
    room = new Room();
  });
  afterEach(() => room.close());

  test('a driver that is unloaded and loaded begins anew, in the same session', async () => {
    const flips = 20;
    const host = await room.host('--once', '--list-limit', '8192');
    const guest = room.guest(host, { commands: `import ${flips};unload;load;import ${flips}` });
    await expectGoodGuest(guest, ['import', 'import']);
    expect(guest.lines).toContain('UNLOADED');
    expect(await expectGoodSession(host)).toBe(0);
    const shown = drawn(host.frames());
    expectFrames(shown.slice(0, flips + 1), flips, { waits: waited(guest) });
    expectFrames(shown.slice(flips + 1), flips, { waits: waited(guest) });
    const trace = host.trace();
    expect(trace.records.filter(({ kind }) => kind === 'features')).toHaveLength(2);
    const all = requests(trace);
    // Ids and fences begin anew: what the first driver had is nobody's.
    const begins = all.flatMap(({ name }, index) => (name === 'GET_EDID' ? [index] : []));
    expect(begins).toHaveLength(2);
    for (const one of [all.slice(0, begins[1]), all.slice(begins[1])]) {
      expectRisingFences(one);
      expect(named(one, 'RESOURCE_CREATE_BLOB').map(({ resource }) => resource)).toEqual([2, 3, 4]);
      expect(named(one, 'RESOURCE_FLUSH')[0].fenceLo).toBe(1);
    }
  });

  test('a guest that is killed ends its session with a line, nothing of it stays, and the next is served', async () => {
    const flips = 20;
    const host = await room.host('--list-limit', '8192');
    const before = host.holds();
    const killed = room.guest(host, { commands: `import ${ENDLESS}` });
    await killed.until(/^flip 40$/);
    expect(host.holds().mappings).toBeGreaterThan(before.mappings);
    killed.kill('SIGKILL');
    await host.process.until(/^the front end (is gone|broke the session): /);
    const first = await host.session();
    expect(first.errors).toBe(0);
    const shown = drawn(host.frames());
    expectFrames(shown, shown.length - 1, { waits: waited(killed) });
    expect(shown.length).toBeGreaterThan(40);
    expect(host.holds()).toEqual(before);

    const second = room.guest(host, { commands: `import ${flips}` });
    await expectGoodGuest(second, ['import']);
    await host.session(1);
    expectFrames(drawn(host.frames()), flips, { waits: waited(second) });
    expect(host.holds()).toEqual(before);
    host.process.kill('SIGTERM');
    expect(await host.process.ended).toBe(EXIT_INTERRUPTED);
    expect(existsSync(host.socket)).toBe(false);
  });
});
