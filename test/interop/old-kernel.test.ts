import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Flag } from '../../core/protocol/constants.ts';
import { drawn, expectFrames, expectGoodSession, named, requests, waited } from './flow.ts';
import { hasOldKernel, Room } from './guest.ts';

const FLIPS = 30;
const DAMAGES = 20;

describe.skipIf(!hasOldKernel)('a kernel whose driver cannot import', () => {
  let room: Room;
  beforeEach(() => {
    room = new Room();
  });
  afterEach(() => room.close());

  test.each([
    { flags: [], blob: true },
    { flags: ['--no-blob'], blob: false },
  ])('refuses an import by itself, and shows its own buffers and just what is damaged (blobs: $blob)', async ({ flags, blob }) => {
    const host = await room.host('--once', '--list-limit', '8192', ...flags);
    // The cursor's image is waited for without limit, so all that was sent before it has been taken when the guest ends.
    const guest = room.guest(host, { commands: `two-gpus 5;dumb ${FLIPS};damage ${DAMAGES};cursor 1`, old: true });
    await guest.ended;
    const said = guest.lines.filter((line) => /^(DONE|FAIL|KERNEL|GUEST ENDS)/.test(line) && !line.endsWith(OWN_WARNING));
    expect(said).toEqual([
      expect.stringMatching(/^FAIL .*PRIME_FD_TO_HANDLE.*: No such device$/),
      'DONE dumb',
      'DONE damage',
      'DONE cursor',
      'GUEST ENDS',
    ]);
    const copiedMB = await expectGoodSession(host);
    if (blob) expect(copiedMB).toBe(0);
    else expect(copiedMB).toBeGreaterThan(0);
    const shown = drawn(host.frames());
    const waits = blob && waited(guest);
    expectFrames(shown.slice(0, FLIPS + 1), FLIPS, { waits });
    const damages = shown.slice(FLIPS + 1, -1);
    if (blob) expectFrames(damages, DAMAGES, { buffers: 1, waits });
    else {
      // The first pixel is in none of the rectangles: the host's copy keeps the one of the first TRANSFER, which is whole.
      expect(damages).toHaveLength(DAMAGES + 1);
      expect(new Set(damages.map(({ pixel }) => pixel)).size).toBe(1);
    }
    expect(shown.every(({ imported }) => imported === blob)).toBe(true);
    const all = requests(host.trace());
    expect(named(all, 'RESOURCE_CREATE_BLOB').length > 0).toBe(blob);
    expect(named(all, 'RESOURCE_CREATE_2D').length > 0).toBe(!blob);
    const flushes = named(all, 'RESOURCE_FLUSH');
    expect(flushes.every(({ flags }) => flags === (blob ? Flag.FENCE : 0))).toBe(true);
    const damaged = flushes.filter(({ width, height }) => width === 200 && height === 100);
    expect(damaged.map(({ x, y }) => [x, y])).toEqual(
      Array.from({ length: DAMAGES }, (_, i) => [((i + 1) * 37) % (1920 - 200), ((i + 1) * 53) % (1080 - 100)]),
    );
  });
});

/** This kernel's own, of its driver. */
const OWN_WARNING = 'drm_plane_enable_fb_damage_clips() not called';
