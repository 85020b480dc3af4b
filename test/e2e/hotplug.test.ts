import { afterAll, describe, expect, it } from 'vitest';
import type { DmaBufOps } from '../../core/dmabuf/dma-buf.ts';
import { fail } from '../../core/dmabuf/errno.ts';
import { AllocationError } from '../../core/guest/driver.ts';
import { plannedDisplays } from '../../core/machine/host-machine.ts';
import { PATHS } from '../../core/machine/options.ts';
import { planMachine } from '../../core/machine/plan.ts';
import { monotonicNowNs } from '../../core/measure/clock.ts';
import { Counter, Counters } from '../../core/measure/counters.ts';
import { Random } from '../../core/memory/random.ts';
import { InlineMachine, type InlineParts } from '../../workers/inline.ts';
import { Remote } from '../../workers/remote.ts';
import { SessionRunner } from '../../workers/session.ts';
import { settled } from '../../workers/settle.ts';
import { smallOptions, summary } from '../support/inline-run.ts';

const HD = { width: 640, height: 360, refreshHz: 60 };
const SMALL = { width: 320, height: 200, refreshHz: 60 };
const HD_MODE = { width: HD.width, height: HD.height };
const SMALL_MODE = { width: SMALL.width, height: SMALL.height };

function start(options: Parameters<typeof smallOptions>[0], parts: InlineParts = {}): InlineMachine {
  const machine = new InlineMachine(smallOptions({ ...HD, rateHz: 60, ...options }), parts);
  machine.runFrames(6);
  return machine;
}

/** Runs until the guest shows what the displays ask for, then some frames more. */
function settle(machine: InlineMachine, frames = 6): void {
  const { modeSetting, driver } = machine.guest;
  machine.runUntil(() => modeSetting.settled && driver.commands.inFlight === 0 && machine.guest.registers.interruptStatus === 0);
  machine.runFrames(frames);
}

/** Has the second buffer that is made from now on refused when it is half made. @returns what ends that */
function refuseSecond({ guest }: InlineMachine): () => void {
  const { driver, gpu } = guest;
  const ops = gpu.ops as { map: DmaBufOps['map'] };
  const { map } = ops;
  const createDumb = driver.createDumb.bind(driver);
  let asked = 0;
  ops.map = (attachment) => (++asked === 2 ? fail('ENOMEM', 'no mapping') : map(attachment));
  driver.createDumb = (...wanted) => {
    if (++asked === 2) throw new AllocationError('no buffer');
    return createDumb(...wanted);
  };
  return () => {
    expect(asked).toBeGreaterThanOrEqual(2);
    ops.map = map;
    driver.createDumb = createDumb;
  };
}

/** Takes the machine down; nothing may be left on either side. */
function finish(machine: InlineMachine): ReturnType<typeof summary> & { edidsRefused: number; modeSets: number; modesRefused: number } {
  machine.drain();
  const result = summary(machine.plan, machine.guest.compositor.committed);
  const counters = new Counters(machine.plan.guestCounters);
  machine.guest.freeBuffers();
  expect(machine.host.device.resourceCount).toBe(0);
  expect(machine.guest.heldBytes).toBe(0);
  expect(machine.guest.gpu.buffers).toHaveLength(0);
  machine.guest.driver.reset();
  expect(machine.host.device.budgetUsed).toBe(0);
  expect(machine.host.device.segmentsUsed).toBe(0);
  return {
    ...result,
    edidsRefused: counters.get(Counter.edidsRefused),
    modeSets: counters.get(Counter.modeSets),
    modesRefused: counters.get(Counter.modesRefused),
  };
}

describe.each(PATHS)('%s: displays change while frames run (virtio-gpu §4)', (path) => {
  it('another size: the guest reads EDID and display info and goes on in that mode; no frame is torn or lost', () => {
    const machine = start({ path });
    machine.host.device.setDisplay(0, SMALL);
    settle(machine);
    expect(machine.guest.modeSetting.modeOf(0)).toMatchObject({ width: 320, height: 200 });
    expect(machine.guest.heads[0].surfaces[0].target).toMatchObject({ width: 320, height: 200 });
    machine.host.device.setDisplay(0, HD);
    settle(machine);
    expect(machine.guest.modeSetting.modeOf(0)).toMatchObject({ width: 640, height: 360 });
    const result = finish(machine);
    expect(result).toMatchObject({ torn: 0, errors: 0, timedOut: 0, modeSets: 2, edidsRefused: 0 });
    expect(result.verified + result.superseded).toBe(result.frames);
  });

  it('a display goes: its scanout is off and its buffers are freed while the other head goes on; it comes back and shows frames', () => {
    const machine = start({ path, heads: 2 });
    const before = machine.host.device.resourceCount;
    machine.host.device.setDisplay(1, null);
    settle(machine);
    expect(machine.guest.modeSetting.modeOf(1)).toBeNull();
    expect(machine.guest.driver.display.modes[1]).toBeNull();
    expect(machine.host.device.resourceCount).toBe(before / 2);
    const gone = machine.guest.compositor.committedOf(1);
    const going = machine.guest.compositor.committedOf(0);
    machine.runFrames(10);
    expect(machine.guest.compositor.committedOf(1)).toBe(gone);
    expect(machine.guest.compositor.committedOf(0)).toBeGreaterThanOrEqual(going + 10);
    machine.host.device.setDisplay(1, SMALL);
    settle(machine, 20);
    expect(machine.guest.compositor.committedOf(1)).toBeGreaterThan(gone + 5);
    const result = finish(machine);
    // Of a scanout without a display there is no EDID.
    expect(result).toMatchObject({ torn: 0, errors: 1, edidsRefused: 1, modeSets: 2, timedOut: 0 });
    expect(result.verified + result.superseded).toBe(result.frames);
  });

  it.each([
    [true, 'which were not touched'],
    [false, 'made again, as they had to make room'],
  ])('room for both %s, a size whose buffers cannot be had: nothing is kept of it, the old one stays with its buffers, %s', (room) => {
    const machine = start({ path });
    const { guest, host } = machine;
    guest.surfaces.hasRoom = () => room;
    const held = () => [host.device.resourceCount, guest.heldBytes, guest.gpu.buffers.length];
    const before = held();
    const { surfaces } = guest.heads[0];
    const end = refuseSecond(machine);
    host.device.setDisplay(0, SMALL);
    settle(machine);
    end();
    expect(guest.modeSetting.modeOf(0)).toMatchObject(HD_MODE);
    expect(held()).toEqual(before);
    expect(guest.heads[0].surfaces === surfaces).toBe(room);
    host.device.setDisplay(0, { ...SMALL, width: 400 });
    settle(machine);
    expect(guest.modeSetting.modeOf(0)).toMatchObject({ width: 400, height: 200 });
    const result = finish(machine);
    expect(result).toMatchObject({ torn: 0, errors: 0, timedOut: 0, modeSets: 1, modesRefused: 1 });
    expect(result.verified + result.superseded).toBe(result.frames);
  });

  it('all displays go and come back: nothing is drawn meanwhile, then frames are counted on', () => {
    const machine = start({ path, heads: 2 });
    machine.host.device.setDisplay(0, null);
    machine.host.device.setDisplay(1, null);
    machine.runUntil(() => machine.guest.modeSetting.modeOf(0) === null && machine.guest.modeSetting.modeOf(1) === null);
    machine.runUntil(() => machine.guest.modeSetting.settled && machine.guest.driver.commands.inFlight === 0);
    expect(machine.host.device.resourceCount).toBe(0);
    expect(machine.guest.heldBytes).toBe(0);
    expect(machine.guest.compositor.deadline[0]).toBe(Number.POSITIVE_INFINITY);
    machine.host.device.setDisplay(1, HD);
    settle(machine, 10);
    expect(finish(machine)).toMatchObject({ torn: 0, timedOut: 0 });
  });
});

describe('display changes', () => {
  it('a mode larger than the memory the machine was planned with is refused and the old one stays', () => {
    const machine = start({ path: 'udmabuf' });
    machine.host.device.setDisplay(0, { width: 3840, height: 2160, refreshHz: 60 });
    settle(machine);
    expect(machine.guest.modeSetting.modeOf(0)).toMatchObject({ width: 640, height: 360 });
    expect(finish(machine)).toMatchObject({ torn: 0, errors: 0, modeSets: 0, modesRefused: 1 });
  });

  it('the last of several changes in a row counts', () => {
    const machine = start({ path: 'vfio', heads: 2 });
    for (const width of [320, 640, 400]) machine.host.device.setDisplay(0, { width, height: 200, refreshHz: 60 });
    machine.host.device.setDisplay(1, null);
    machine.host.device.setDisplay(1, SMALL);
    settle(machine);
    expect(machine.guest.modeSetting.modeOf(0)).toMatchObject({ width: 400, height: 200 });
    expect(machine.guest.modeSetting.modeOf(1)).toMatchObject({ width: 320, height: 200 });
    expect(finish(machine)).toMatchObject({ torn: 0, errors: 0 });
  });

  it.each(['contiguous', '2m', '64k', '4k'] as const)('new buffers in layout %s of the same size: nothing torn, nothing kept', (layout) => {
    const machine = start({ path: 'vfio', migrateEvery: 3, listLimit: 8192 });
    machine.guest.surfaces.layout = layout;
    machine.guest.modeSetting.remake(0);
    settle(machine);
    expect(machine.guest.heads[0].surfaces[0].gpu?.layout).toBe(layout);
    expect(finish(machine)).toMatchObject({ torn: 0, errors: 0, modeSets: 1 });
  });

  it('hundreds of random changes with buffers moving: every frame whole, nothing left', () => {
    const seed = 20240611;
    const random = new Random(seed);
    for (const path of ['vfio', 'udmabuf', 'readback-copy'] as const) {
      const machine = start({ path, heads: 3, buffers: 3, migrateEvery: 4, scanoutUs: 8000 });
      for (let i = 0; i < 100; i++) {
        const head = random.below(3);
        const display = random.below(3) === 0 ? null : { width: 32 + random.below(609), height: 32 + random.below(329), refreshHz: 60 };
        if (random.below(4) === 0) machine.guest.modeSetting.remake(head);
        else machine.host.device.setDisplay(head, display);
        const { modeSetting, driver } = machine.guest;
        // With every head off and nothing asked for, nothing happens any more.
        const asleep = (): boolean =>
          modeSetting.settled && driver.commands.inFlight === 0 && [0, 1, 2].every((at) => modeSetting.modeOf(at) === null);
        for (let step = random.below(200); step > 0 && !asleep(); step--) machine.step();
        if (random.below(8) === 0) machine.runUntil(() => machine.guest.modeSetting.settled);
      }
      machine.host.device.setDisplay(0, HD);
      settle(machine);
      const result = finish(machine);
      expect(result, `seed ${seed}`).toMatchObject({ torn: 0, timedOut: 0 });
      expect(result.errors, `seed ${seed}`).toBe(result.edidsRefused);
      expect(result.modeSets).toBeGreaterThan(20);
      expect(result.verified + result.superseded, `seed ${seed}`).toBe(result.frames);
    }
  });
});

describe('in threads', () => {
  const runner = new SessionRunner();
  afterAll(() => runner.close());

  it('displays change their size, go and come back by request of the starter; both sides hold the same buffers each time', async () => {
    const options = smallOptions({ ...HD, path: 'vfio', heads: 2, rateHz: 60, migrateEvery: 5 });
    const plan = planMachine(options, monotonicNowNs());
    const remote = new Remote(plan.control, plannedDisplays(options));
    const window = { warmupMs: 0, warmupFrames: 1, measureMs: 1500, measureFrames: 0, usageWindows: 1 };
    const running = runner.run(plan, window, 20_000, undefined, remote.buffer);
    remote.setDisplay(0, SMALL);
    expect(await settled(remote)).toMatchObject({ buffers: 4, resources: 4, heads: [SMALL_MODE, HD_MODE] });
    remote.setDisplay(1, null);
    expect(await settled(remote)).toMatchObject({ buffers: 2, resources: 2, gpuBuffers: 2, heads: [SMALL_MODE, { width: 0, height: 0 }] });
    remote.setDisplay(1, HD);
    remote.remake(0, '4k');
    expect(await settled(remote)).toMatchObject({ buffers: 4, resources: 4, gpuBuffers: 4, heads: [SMALL_MODE, HD_MODE] });
    const outcome = await running;
    if (outcome.kind !== 'done') throw new Error(outcome.kind === 'failed' ? outcome.reason : outcome.kind);
    expect(outcome.guest).toMatchObject({ heldAfterFree: 0, gpuBuffersAfterFree: 0 });
    expect(outcome.host).toMatchObject({ budgetAfterReset: 0, resourcesAfterReset: 0, segmentsAfterReset: 0, needsReset: false });
    const result = summary(plan, outcome.guest.frames);
    expect(result.torn).toBe(0);
    expect(result.errors).toBe(new Counters(plan.guestCounters).get(Counter.edidsRefused));
  });

  it('the memory of each worker is measured apart, after a collection', async () => {
    const threads = await runner.memory();
    expect(threads).toHaveLength(2);
    for (const { heapBytes } of threads) expect(heapBytes).toBeGreaterThan(1e6);
  });
});
