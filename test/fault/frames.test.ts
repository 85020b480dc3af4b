import { describe, expect, it } from 'vitest';
import { sampleFrames } from '../../benchmarks/samples.ts';
import { parseFaults } from '../../core/machine/faults.ts';
import { type MachineOptions, PATHS, pathUsesBlob } from '../../core/machine/options.ts';
import { Counter } from '../../core/measure/counters.ts';
import { FRAME_COLUMNS, FrameColumn, FrameFlag, FrameLog } from '../../core/measure/frame-log.ts';
import { InlineMachine } from '../../workers/inline.ts';
import type { GuestReport } from '../../workers/task.ts';
import { framesWith, type RunSummary, runInline, smallOptions, summary } from '../support/inline-run.ts';

const SMALL = { rateHz: 60, buffers: 3, width: 320, height: 200 } as const;
const BLOB_PATHS = PATHS.filter(pathUsesBlob);
const IMPORTING = ['vfio', 'udmabuf'] as const;

function run(faults: string, options: Partial<MachineOptions>, frames = 40): { machine: InlineMachine; result: RunSummary } {
  return runInline({ ...SMALL, ...options, faults: parseFaults(faults) }, frames);
}

const injected = ({ guest, host }: InlineMachine): number =>
  guest.counters.get(Counter.faultsInjected) + host.counters.get(Counter.faultsInjected);

describe('reset with fences pending', () => {
  it.each(BLOB_PATHS)('%s: the fence ends cancelled and stays so, the frame is marked and is no sample', (path) => {
    const machine = new InlineMachine(smallOptions({ path, ...SMALL }));
    machine.runFrames(5);
    const { driver, heads } = machine.guest;
    machine.runUntil(() => heads[0].plane.current?.fence?.state === 'pending');
    const fence = heads[0].plane.current?.fence ?? null;
    driver.reset();
    expect(fence?.state).toBe('cancelled');
    fence?.signal();
    expect(fence?.state).toBe('cancelled');
    expect(heads[0].plane.poll()).toBe(true);
    expect(machine.guest.counters.get(Counter.fencesCancelled)).toBe(1);
    const marked = framesWith(machine.plan, FrameColumn.guestFlags, FrameFlag.cancelled);
    expect(marked).toHaveLength(1);
    const { cells } = new FrameLog(machine.plan.frameLog, 1, machine.plan.options.logCapacity);
    const at = marked[0] * FRAME_COLUMNS;
    expect(cells[at + FrameColumn.fenceSeen]).toBe(0);
    // Even shown at the very moment of the reset it is no sample.
    cells[at + FrameColumn.present] = cells[at + FrameColumn.submit] + 1000;
    const report = { firstFrame: [marked[0]], endFrame: [marked[0] + 1] } as unknown as GuestReport;
    expect(sampleFrames(machine.plan, report).distribution('submitToPresent')).toBeNull();
  });

  it.each(PATHS)('%s: injected, everything is set up anew and frames go on', (path) => {
    const { machine, result } = run('reset-pending@5', { path });
    expect(result).toMatchObject({ torn: 0, errors: 0 });
    expect(machine.guest.counters.get(Counter.reinitialisations)).toBe(1);
  });
});

describe('a fence that is never signalled', () => {
  it.each(BLOB_PATHS)('%s: each frame takes 50 ms and no longer, is marked, and its buffer is drawn into no more', (path) => {
    const machine = new InlineMachine(smallOptions({ path, ...SMALL, faults: parseFaults('fence-never@5') }));
    machine.runUntil(() => machine.guest.counters.get(Counter.fencesTimedOut) === 3);
    const committed = machine.guest.compositor.committed;
    for (let i = 0; i < 500; i++) machine.step();
    expect(machine.guest.compositor.committed).toBe(committed);
    for (const { framebuffer } of machine.guest.heads[0].surfaces) expect(framebuffer.overdue?.state).toBe('pending');
    expect(framesWith(machine.plan, FrameColumn.guestFlags, FrameFlag.timedOut)).toHaveLength(3);
    machine.guest.driver.reset();
    expect(machine.guest.counters.get(Counter.fencesCancelled)).toBe(3);
    expect(summary(machine.plan, committed).torn).toBe(0);
    expect([machine.host.device.budgetUsed, machine.host.device.resourceCount]).toEqual([0, 0]);
  });
});

describe('a slow sink', () => {
  it.each(PATHS)('%s: no buffer that it still holds is written', (path) => {
    const { machine, result } = run('slow-sink@5', { path });
    expect(injected(machine)).toBe(1);
    expect(result).toMatchObject({ torn: 0, errors: 0, verified: result.presented });
    if (pathUsesBlob(path)) expect(result.timedOut).toBeGreaterThan(0);
  });

  it.each(BLOB_PATHS)('%s: with fences off the same sink finds the frame torn', (path) => {
    expect(run('slow-sink@5', { path, fences: false }).result.torn).toBeGreaterThan(0);
  });
});

describe('notifications', () => {
  it.each(PATHS)('%s: doubled and spurious ones change nothing', (path) => {
    const plain = runInline({ path, ...SMALL }, 40).result;
    const { machine, result } = run('doubled-kick@5,doubled-interrupt@9', { path });
    expect(injected(machine)).toBe(2);
    expect(result).toEqual(plain);
  });
});

describe('a full queue', () => {
  it.each(PATHS)('%s: the frame waits, none is lost', (path) => {
    const { machine, result } = run('queue-full@5,queue-full@6,queue-full@7', { path });
    expect(injected(machine)).toBe(3);
    expect(result).toMatchObject({ torn: 0, errors: 0, timedOut: 0, presented: result.frames, superseded: 0 });
    expect(machine.guest.counters.get(Counter.commands)).toBeGreaterThan(3 * 60);
  });
});

describe('moves', () => {
  it.each(IMPORTING)('%s: a storm is coalesced: a buffer is detached once and mapped once for the frame that shows it', (path) => {
    const { machine, result } = run('move-storm@5', { path });
    const { counters } = machine.guest;
    expect(result).toMatchObject({ torn: 0, errors: 0, moves: 64, presented: result.frames, verified: result.frames });
    expect(counters.get(Counter.moveNotifies)).toBe(64);
    expect(counters.get(Counter.reattaches)).toBe(8);
    expect(result.reattached).toBe(8);
  });

  it.each(PATHS.filter((path) => path !== 'copy'))(
    '%s: under memory pressure buffers move or stay, none is torn, the memory is returned',
    (path) => {
      const { machine, result } = run('memory-pressure@5,memory-pressure@15', { path });
      expect(injected(machine)).toBe(2);
      expect(result).toMatchObject({ torn: 0, errors: 0, timedOut: 0, presented: result.frames });
      expect(result.moves + result.movesRefused).toBeGreaterThan(0);
      expect(machine.guest.heldBytes).toBe(0);
    },
  );

  it.each(IMPORTING)('%s: the buffer on screen is pinned and does not move', (path) => {
    const { result } = run('pinned-move@5', { path });
    expect(result).toMatchObject({ torn: 0, moves: 0, movesRefused: 1, reattached: 0, presented: result.frames });
  });

  it.each(PATHS.filter((path) => path !== 'copy'))(
    '%s: the attachment of an importer that died is released, then the buffer moves',
    (path) => {
      const { machine, result } = run('importer-dies@5', { path });
      expect(result).toMatchObject({ torn: 0, errors: 0, moves: 1, movesRefused: 1, presented: result.frames });
      for (const { dmabuf } of machine.guest.gpu.buffers) expect(dmabuf?.attachments ?? []).toEqual([]);
    },
  );
});

describe('allocation failures', () => {
  it.each(BLOB_PATHS)('%s: without memory for a fence the frame fails, nothing is left pinned, the next one is drawn', (path) => {
    const { machine, result } = run('guest-no-memory@5', { path });
    expect(machine.guest.compositor.failed).toBe(1);
    expect(result).toMatchObject({ torn: 0, errors: 0, presented: result.frames });
  });

  it.each(PATHS)('%s: a host without memory answers OUT_OF_MEMORY and keeps nothing: the same id can be had afterwards', (path) => {
    const { machine, result } = run('host-no-memory@5', { path });
    expect(result).toMatchObject({ torn: 0, errors: 1, presented: result.frames });
    expect(machine.guest.counters.get(Counter.errorResponses)).toBe(1);
  });
});

it('the same faults and the same seed give the same run, to the counter', () => {
  const faults = 'guest-dies-scanning@4,host-dies-holding@9,slow-sink@16,move-storm@22,reset-pending@30';
  const once = (): number[][] => {
    const { machine } = run(faults, { path: 'vfio' }, 50);
    return [[...machine.guest.counters.cells], [...machine.host.counters.cells]];
  };
  expect(once()).toEqual(once());
});
