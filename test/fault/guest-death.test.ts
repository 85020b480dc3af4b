import { describe, expect, it } from 'vitest';
import { parseFaults } from '../../core/machine/faults.ts';
import { PATHS } from '../../core/machine/options.ts';
import { Counter } from '../../core/measure/counters.ts';
import { InlineMachine } from '../../workers/inline.ts';
import { smallOptions, summary } from '../support/inline-run.ts';

const STAGES = ['guest-dies-before-idx', 'guest-dies-after-idx', 'guest-dies-before-answer', 'guest-dies-scanning', 'guest-exits'] as const;
const FRAME = 5;

function machineWith(stage: string, path: (typeof PATHS)[number], replaces: boolean): InlineMachine {
  const faults = parseFaults(`${stage}@${FRAME}`);
  return new InlineMachine(smallOptions({ path, rateHz: 60, buffers: 3, width: 320, height: 200, faults }), { replaces });
}

const cases = STAGES.flatMap((stage) => PATHS.map((path) => [stage, path] as const));

describe('a guest that dies (hostile-guest "Faults")', () => {
  it.each(cases)('%s on %s: nothing is held after the reset', (stage, path) => {
    const machine = machineWith(stage, path, false);
    machine.runUntil(() => !machine.alive.guest);
    const { device, registers } = machine.host;
    // Without a guest the host is left alone with what it has: it ends that, or keeps it.
    machine.clock.advance(1e9);
    while (device.poll());
    expect(device.needsReset).toBe(false);
    registers.status = 0;
    device.poll();
    expect(registers.statusSeen).toBe(0);
    expect([device.budgetUsed, device.segmentsUsed, device.resourceCount]).toEqual([0, 0, 0]);
    expect(machine.host.sink.deadline[0]).toBe(Number.POSITIVE_INFINITY);
    expect(summary(machine.plan, 0).torn).toBe(0);
  });

  it('before its idx store: the host sees nothing of the frame; after it, the frame is served without a kick', () => {
    const flushes = STAGES.slice(0, 2).map((stage) => {
      const machine = machineWith(stage, 'vfio', false);
      machine.runUntil(() => !machine.alive.guest);
      while (machine.host.device.poll());
      return machine.host.counters.get(Counter.flushes);
    });
    expect(flushes).toEqual([FRAME, FRAME + 1]);
  });

  it.each(cases)('%s on %s: the one in its place shows frames, none torn', (stage, path) => {
    const machine = machineWith(stage, path, true);
    machine.runUntil(() => machine.deaths.length > 0);
    machine.runFrames(20);
    machine.finish();
    const result = summary(machine.plan, machine.guest.compositor.committed);
    expect(machine.deaths).toEqual(['guest']);
    expect(result).toMatchObject({ torn: 0, errors: 0 });
    expect(result.presented).toBeGreaterThanOrEqual(20);
    expect(machine.host.device.budgetUsed).toBe(0);
  });
});
