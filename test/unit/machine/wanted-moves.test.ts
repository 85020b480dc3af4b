import { expect, test } from 'vitest';
import { PATHS, type Path } from '../../../core/machine/options.ts';
import { Counter } from '../../../core/measure/counters.ts';
import { CopyStage } from '../../../core/memory/ledger.ts';
import { GuestRemote, Remote } from '../../../workers/remote.ts';
import { runInline } from '../../support/inline-run.ts';

const MOVED: readonly Path[] = PATHS.filter((path) => path !== 'copy');

/** Asks for a move at each of these frames; where the buffers lie after it, by frame. */
function play(path: Path, at: readonly number[], movable = true) {
  const places: string[][] = [];
  const { result, machine } = runInline({ path, movable, rateHz: 60 }, 60, {}, (running) => {
    const remote = new Remote(running.plan.control, [{ width: 640, height: 360, refreshHz: 60 }]);
    const end = new GuestRemote(remote.buffer, running.guest);
    const { heads, compositor } = running.guest;
    for (let frame = 5; frame <= 40; frame += 5) {
      if (at.includes(frame)) remote.moveBuffer();
      end.poll();
      running.runFrames(frame - compositor.committed);
      places.push(heads[0].surfaces.map(({ gpu }) => gpu?.placement ?? 'none'));
    }
  });
  return { result, machine, places: places.map((one) => one.toSorted().join()) };
}

test.each(MOVED)(
  'over %s a move that is asked for takes one buffer out, the next takes the same one back, and no frame is torn',
  (path) => {
    const home = path === 'udmabuf' ? 'system,system' : 'vram,vram';
    const { result, machine, places } = play(path, [10, 25]);
    expect(places[0]).toBe(home);
    expect(places[2]).toBe('system,vram');
    expect(places.at(-1)).toBe(home);
    expect(result).toMatchObject({ moves: 2, movesRefused: 0, torn: 0, timedOut: 0, errors: 0 });
    expect(result.verified).toBeGreaterThan(50);
    expect(machine.guest.ledger.copies(CopyStage.migrate)).toBe(2);
  },
);

test('a path without a buffer of the GPU, and a machine that is not movable, go on as they were', () => {
  for (const { result } of [play('copy', [10], true), play('vfio', [10], false)]) expect(result).toMatchObject({ moves: 0, torn: 0 });
});

test('a move of a buffer that a mode set has replaced is forgotten: the next takes one of the new ones out', () => {
  const { machine } = runInline({ path: 'vfio', movable: true, rateHz: 60 }, 60, {}, (running) => {
    const { guest } = running;
    guest.wantedMoves?.want();
    running.runFrames(10);
    guest.modeSetting.remake(0);
    running.runFrames(10);
    guest.wantedMoves?.want();
    running.runFrames(10);
    expect(guest.heads[0].surfaces.map(({ gpu }) => gpu?.placement).toSorted()).toEqual(['system', 'vram']);
  });
  expect(machine.guest.counters.get(Counter.moves)).toBe(2);
});
