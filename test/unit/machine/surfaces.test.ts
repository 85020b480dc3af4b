import { describe, expect, it } from 'vitest';
import { PATHS } from '../../../core/machine/options.ts';
import { Counter } from '../../../core/measure/counters.ts';
import { InlineMachine } from '../../../workers/inline.ts';
import { smallOptions } from '../../support/inline-run.ts';

const LARGE = { width: 1920, height: 1080 };
const SMALL = { width: 640, height: 360 };

describe('room for new buffers beside those that there are', () => {
  it.each(PATHS)('%s: depends on the size, and takes nothing', (path) => {
    const { guest } = new InlineMachine(smallOptions({ path, ...LARGE, buffers: 3 }));
    const held = guest.heldBytes;
    expect([guest.surfaces.hasRoom(LARGE), guest.surfaces.hasRoom(SMALL)]).toEqual([false, true]);
    expect(guest.heldBytes).toBe(held);
  });

  it.each(PATHS)('%s: pages that do not lie as they should are no room', (path) => {
    const { guest } = new InlineMachine(smallOptions({ path, ...LARGE, buffers: 3, layout: '4k' }));
    expect(guest.surfaces.hasRoom(SMALL)).toBe(true);
    // Single pages all over leave few whole blocks.
    guest.surfaces.layout = '2m';
    expect(guest.surfaces.hasRoom({ width: 1900, height: 690 })).toBe(false);
    guest.surfaces.layout = '4k';
    expect(guest.surfaces.hasRoom({ width: 1900, height: 690 })).toBe(true);
  });

  it('is none past what the host may hold of copies: the old buffers go first, and nothing is refused', () => {
    const bytes = SMALL.width * SMALL.height * 4;
    const machine = new InlineMachine(smallOptions({ path: 'copy', ...SMALL, rateHz: 60, maxHostmem: 2 * bytes }));
    machine.runFrames(5);
    expect(machine.guest.surfaces.hasRoom({ width: 320, height: 200 })).toBe(false);
    machine.guest.modeSetting.remake(0);
    machine.runFrames(10);
    const { counters, modeSetting } = machine.guest;
    expect(modeSetting.settled).toBe(true);
    expect([counters.get(Counter.modeSets), counters.get(Counter.modesRefused), counters.get(Counter.errorResponses)]).toEqual([1, 0, 0]);
    machine.finish();
  });
});
