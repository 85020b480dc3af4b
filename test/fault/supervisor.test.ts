import { describe, expect, it } from 'vitest';
import { DeviceLost } from '../../core/guest/driver.ts';
import { parseFaults } from '../../core/machine/faults.ts';
import { DEFAULT_OPTIONS } from '../../core/machine/options.ts';
import { SessionWord } from '../../core/machine/plan.ts';
import { VirtualClock } from '../../core/measure/clock.ts';
import { Counter } from '../../core/measure/counters.ts';
import { KILL } from '../../workers/faults.ts';
import { claimStop } from '../../workers/guest-end.ts';
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

describe('a guest that stops and a fault that ends it at the same time', () => {
  /** A machine whose guest runs on thread 7, and what its supervisor ends. */
  function supervised() {
    const faults = parseFaults('guest-dies-scanning@5');
    const machine = new InlineMachine(smallOptions({ path: 'copy', width: 64, height: 64, faults }));
    const { plan } = machine;
    const cells = new Int32Array(plan.control);
    const ended: string[] = [];
    const thread = {
      threadId: 7,
      async terminate() {
        ended.push('guest');
        return 1;
      },
    };
    Atomics.store(cells, SessionWord.guestThread, thread.threadId);
    const supervisor = new Supervisor(plan, { threads: [thread] });
    /** The fault happens; what the supervisor does about it has been begun then. */
    const kill = async (): Promise<void> => {
      Atomics.or(cells, SessionWord.kill, KILL.guest);
      Atomics.notify(cells, SessionWord.kill);
      while (Atomics.load(cells, SessionWord.kill) !== 0) await new Promise((resolve) => setImmediate(resolve));
    };
    return { machine, cells, ended, supervisor, kill };
  }

  it('the guest was first: its thread is left alone, and no other guest takes its place', async () => {
    const { machine, cells, ended, supervisor, kill } = supervised();
    expect(claimStop(cells)).toBe(true);
    await kill();
    expect(ended).toEqual([]);
    expect(await supervisor.mayReplace('guest', DEATH)).toBe(false);
    expect(machine.guest.counters.get(Counter.restarts)).toBe(0);
    supervisor.stop();
  });

  it('the fault was first: the guest may not say that it has stopped, and another one takes its place, which may', async () => {
    const { machine, cells, ended, supervisor, kill } = supervised();
    await kill();
    expect(ended).toEqual(['guest']);
    expect(claimStop(cells)).toBe(false);
    const { device } = machine.host;
    const host = setInterval(() => device.poll(), 0);
    expect(await supervisor.mayReplace('guest', DEATH)).toBe(true);
    clearInterval(host);
    expect(claimStop(cells)).toBe(true);
    supervisor.stop();
  });

  it('a session that is stopped while the device is reset gets no other guest', async () => {
    for (const stops of ['asked to', 'at its end']) {
      const { machine, supervisor } = supervised();
      const { registers } = machine.guest;
      const { device } = machine.host;
      const host = setInterval(() => {
        if (stops === 'asked to') registers.requestStop();
        else supervisor.stop();
        device.poll();
      }, 0);
      expect(await supervisor.mayReplace('guest', DEATH)).toBe(false);
      clearInterval(host);
      expect(machine.guest.counters.get(Counter.restarts)).toBe(0);
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
