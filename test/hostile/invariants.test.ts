import { describe, expect, test } from 'vitest';
import { CopyStage } from '../../core/memory/ledger.ts';
import { SegmentList } from '../../core/memory/segments.ts';
import { BYSTANDER, create2d, HostileGuest, MIB, OK, PIXELS } from '../support/hostile-guest.ts';

/** The host misbehaves once, in a test's place: each invariant has to notice. */
describe('the invariants held after each hostile case', () => {
  test.each([
    ['a byte beside the buffers', (guest: HostileGuest) => guest.rig.regions[1].u8.fill(1, 0x10010, 0x10011)],
    ['a byte of memory that no command names', (guest: HostileGuest) => guest.rig.regions[3].u8.fill(1, PIXELS, PIXELS + 1)],
    ['the last byte of a region', (guest: HostileGuest) => guest.rig.regions[0].u8.fill(1, 12 * MIB - 1)],
  ])('notice a write to %s', (_what, misbehave) => {
    const guest = new HostileGuest();
    misbehave(guest);
    expect(() => guest.unharmed()).toThrow('the host wrote byte');
  });

  test("notice pixels of another resource that changed in the host's own memory", () => {
    const guest = new HostileGuest();
    for (const image of guest.rig.images) image.u32[100]++;
    expect(() => guest.unharmed()).toThrow(`pixels of bystander ${BYSTANDER.image}`);
  });

  test('notice what is not given back', () => {
    const guest = new HostileGuest();
    guest.rig.create2d(100);
    expect(() => guest.unharmed()).toThrow('budgets');
  });

  test('notice a budget that a refused command changed', () => {
    const guest = new HostileGuest();
    guest.attempt({ bytes: create2d(2), answer: OK }, 'first');
    const budgets = guest.budgets.bind(guest);
    let calls = 0;
    guest.budgets = () => `${budgets()}${calls++}`;
    expect(() => guest.attempt({ bytes: create2d(2), answer: 0x1203 }, 'again')).toThrow('changed budgets');
  });

  test('notice a look-up outside the regions', () => {
    const guest = new HostileGuest();
    const { space } = guest.rig;
    // As if a region were smaller than the table says.
    Object.defineProperty(space, 'hitOffset', { get: () => 12 * MIB - 1, set: () => {} });
    space.translate(PIXELS, 4096);
    expect(guest.outside).toBe(1);
  });

  test("notice a copy from memory that is neither the guest's nor an image", () => {
    const guest = new HostileGuest();
    const { rig } = guest;
    const gone = rig.regions[3];
    rig.space.remove(3);
    const [image] = rig.images;
    const list = (region: typeof gone): SegmentList => {
      const segments = new SegmentList(1);
      segments.append(region, 0, 16);
      return segments;
    };
    guest.copier.copy(list(image), 0, list(gone), 0, 16, CopyStage.transfer);
    expect(guest.outside).toBe(1);
  });
});
