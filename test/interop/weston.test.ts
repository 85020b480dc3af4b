import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Flag } from '../../core/protocol/constants.ts';
import { expectGoodGuest, expectGoodSession, expectImportedLife, expectRisingFences, named, requests } from './flow.ts';
import { cache, Room } from './guest.ts';
import { prepared } from './prepared.ts';

/** Prepared here, so that no other test waits for it or goes without. */
const disk = cache === null ? null : await prepared('prepare-weston.sh', [cache], 'THE TEST WITH WESTON IS');

/** That the client draws. On an emulated CPU the first ones take seconds. */
const FRAMES = 20;
const WIDTH = 1280;
const HEIGHT = 720;

describe.skipIf(disk === null)('Weston', () => {
  let room: Room;
  beforeEach(() => {
    room = new Room();
  });
  afterEach(() => room.close());

  test('renders on another GPU and shows its desktop where it lies; told to end, it takes its buffers back', async () => {
    const host = await room.host('--once', '--list-limit', '8192', '--resolution', `${WIDTH}x${HEIGHT}`);
    const guest = room.guest(host, { commands: `weston ${FRAMES}`, machine: machine(`${disk}`), memoryMB: 2048 });
    await expectGoodGuest(guest, ['weston']);
    expect(guest.lines).toContainEqual(expect.stringMatching(/^adding secondary device \/dev\/dri\/card\d$/));
    expect(await expectGoodSession(host)).toBe(0);

    const all = requests(host.trace());
    expectRisingFences(all);
    // The framebuffer console’s buffer is transferred, Weston's buffers never are.
    const fbcon = new Set(named(all, 'TRANSFER_TO_HOST_2D').map(({ resource }) => resource));
    const shown = host.frames().filter(({ resource }) => !fbcon.has(resource));
    expect(shown.length).toBeGreaterThanOrEqual(FRAMES);
    expect(shown.every(({ imported, width, height }) => imported && width === WIDTH && height === HEIGHT)).toBe(true);

    const created = named(all, 'RESOURCE_CREATE_BLOB').filter(({ resource }) => !fbcon.has(resource));
    expect(created.length).toBeGreaterThanOrEqual(2);
    for (const { resource, sizeLo } of created) {
      expect(sizeLo).toBeGreaterThanOrEqual(WIDTH * HEIGHT * 4);
      expectImportedLife(all, resource, sizeLo, shown.filter((frame) => frame.resource === resource).length);
    }
    const flushes = all.flatMap((one) => (one.name === 'RESOURCE_FLUSH' && !fbcon.has(one.resource) ? [one.resource] : []));
    expect(flushes).toEqual(shown.map(({ resource }) => resource));
    // Off first, then the buffers go.
    const last = all.findLastIndex((one) => one.name === 'RESOURCE_FLUSH' && !fbcon.has(one.resource));
    const end = all.slice(last + 1, last + 2 + 2 * created.length);
    expect(end[0]).toMatchObject({ name: 'SET_SCANOUT', resource: 0 });
    const gone = created.flatMap(() => [`RESOURCE_DETACH_BACKING ${Flag.FENCE}`, 'RESOURCE_UNREF 0']);
    expect(end.slice(1).map(({ name, flags }) => `${name} ${flags}`)).toEqual(gone);

    // A picture, not a colour, that changes as the client draws. It fades in, so the first may be black.
    expect(shown.slice(-FRAMES / 2).filter(({ colours }) => colours < COLOURS)).toEqual([]);
    expect(new Set(shown.map(({ hash }) => hash)).size).toBeGreaterThan(FRAMES / 2);
  });
});

/** Of 256 pixels; the desktop has a panel, a patterned background and the client's window. */
const COLOURS = 8;

/** A second GPU, the disk, and two processors: the renderer's compiler and the compositor run at the same time. */
function machine(image: string): string[] {
  return [
    ['-machine', 'pc,memory-backend=mem', '-cpu', 'max', '-smp', '2', '-device', 'bochs-display'],
    ['-drive', `if=none,id=disk,format=raw,readonly=on,file=${image}`, '-device', 'virtio-blk-pci,drive=disk'],
  ].flat();
}
