import { existsSync } from 'node:fs';
import { join } from 'node:path';
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
    expectFrames(drawn(host.frames(1)), flips, { waits: waited(second) });
    expect(host.holds()).toEqual(before);
    host.process.kill('SIGTERM');
    expect(await host.process.ended).toBe(EXIT_INTERRUPTED);
    expect(existsSync(host.socket)).toBe(false);
  });

  test('a host that is killed and started again serves new guests; the one that ran has to be started anew', async () => {
    const flips = 20;
    const first = await room.host('--list-limit', '8192');
    const left = room.guest(first, { commands: `import ${ENDLESS}` });
    await left.until(/^flip 40$/);
    first.process.kill('SIGKILL');
    await first.process.ended;
    // The driver waits 50 ms for a flip's fence and goes on.
    await left.until(/^LATE/, left.lines.length);
    expect(existsSync(first.socket)).toBe(true);

    const second = await room.host('--list-limit', '8192');
    const next = room.guest(second, { commands: `import ${flips}` });
    await expectGoodGuest(next, ['import']);
    await second.session();
    expectFrames(drawn(second.frames()), flips, { waits: waited(next) });
    // QEMU does not connect again.
    expect(second.process.lines.filter((line) => line === 'a front end has connected')).toHaveLength(1);
    left.kill('SIGKILL');
    expect(await left.ended).toBe(null);
  });

  test('a guest whose QEMU listens goes on with a second host, or its QEMU is ended by its own assertion and the next is served', async () => {
    const flags = ['--list-limit', '8192', '--connect', '--state', join(room.folder, 'state')];
    const first = await room.host(...flags);
    const guest = room.guest(first, { commands: `import ${ENDLESS}`, listens: true });
    await guest.until(/^flip 40$/);
    first.process.kill('SIGKILL');
    await first.process.ended;
    const second = await room.host(...flags);
    // QEMU 11 does not outlive its back end; a later one may.
    const goesOn = second.process.until(/^the guest goes on: /).then(() => true);
    goesOn.catch(() => {});
    if (await Promise.race([goesOn, guest.ended.then(() => false)])) {
      await guest.until(/^flip \d+$/, guest.lines.length);
      guest.kill('SIGKILL');
    } else {
      expect(guest.lines.filter((line) => line.includes('vhost_dev_start: Assertion'))).toHaveLength(1);
    }
    await second.process.until(/^the front end is gone: hung up$/);

    const next = room.guest(second, { commands: 'import 20', listens: true });
    await expectGoodGuest(next, ['import']);
    second.process.kill('SIGTERM');
    expect(await second.process.ended).toBe(EXIT_INTERRUPTED);
    expectFrames(drawn(second.frames(1)), 20, { waits: waited(next) });
  });
});
