import { describe, expect, it } from 'vitest';
import { DeviceLost } from '../../core/guest/driver.ts';
import { parseFaults } from '../../core/machine/faults.ts';
import { DEFAULT_OPTIONS } from '../../core/machine/options.ts';
import { VirtualClock } from '../../core/measure/clock.ts';
import { Counter } from '../../core/measure/counters.ts';
import { StuckCheck } from '../../workers/guest-life.ts';
import { InlineMachine } from '../../workers/inline.ts';
import { Supervisor } from '../../workers/supervisor.ts';
import { smallOptions } from '../support/inline-run.ts';

const DEATH = new Error('worker exited with code: 1');

describe('the supervisor', () => {
  it("has a dead guest's device reset before another guest begins, and replaces no more than was planned", async () => {
    const faults = parseFaults('guest-dies-after-idx@5');
    const machine = new InlineMachine(smallOptions({ path: 'copy', rateHz: 60, width: 64, height: 64, faults }), { replaces: false });
    machine.runUntil(() => !machine.alive.guest);
    const { device } = machine.host;
    expect(device.budgetUsed).toBeGreaterThan(0);
    const supervisor = new Supervisor(machine.plan, { threads: [] });
    const host = setInterval(() => device.poll(), 0);
    expect(await supervisor.mayReplace('guest', DEATH)).toBe(true);
    clearInterval(host);
    expect([device.budgetUsed, device.resourceCount, device.segmentsUsed]).toEqual([0, 0, 0]);
    expect(machine.guest.counters.get(Counter.restarts)).toBe(1);
    expect(await supervisor.mayReplace('guest', DEATH)).toBe(false);
    supervisor.stop();
  });

  it('replaces nothing for an error that is not the end of a thread, nor where no death was planned', async () => {
    for (const faults of ['host-exits', 'doubled-kick']) {
      const { plan } = new InlineMachine(smallOptions({ path: 'vfio', width: 64, height: 64, faults: parseFaults(faults) }));
      const supervisor = new Supervisor(plan, { threads: [] });
      expect(await supervisor.mayReplace('host', faults === 'host-exits' ? new RangeError('a bug') : DEATH)).toBe(false);
      supervisor.stop();
    }
  });
});

describe('a device that answers nothing', () => {
  it('is given up after 2 s and four times what a frame may take, not before and not while it answers', () => {
    const clock = new VirtualClock();
    const check = new StuckCheck({ ...DEFAULT_OPTIONS, rateHz: 100, scanoutUs: 10_000 }, clock);
    // 2.08 s, in looks as a side that sleeps takes them.
    const wait = (committed: number, inFlight: number): void => {
      for (let i = 0; i < 26; i++) {
        clock.advance(80e6);
        check.look(committed, inFlight);
      }
    };
    check.look(7, 1);
    wait(7, 1);
    check.look(8, 1);
    wait(8, 1);
    check.look(8, 0);
    wait(8, 3);
    clock.advance(1);
    expect(() => check.look(8, 3)).toThrow(DeviceLost);
  });

  it('is not given up by a guest that did not run itself: a long time between two looks counts as 250 ms', () => {
    const clock = new VirtualClock();
    const check = new StuckCheck({ ...DEFAULT_OPTIONS, rateHz: 100, scanoutUs: 10_000 }, clock);
    check.look(7, 1);
    for (let i = 0; i < 8; i++) {
      clock.advance(5e9);
      check.look(7, 1);
    }
    clock.advance(5e9);
    expect(() => check.look(7, 1)).toThrow(DeviceLost);
  });
});
