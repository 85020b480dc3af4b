import { mutantsOf } from '../mutant.ts';

/** What keeps a machine sound when a side dies, a notification is lost or a clock steps (hostile-guest "Faults"). */
export const FAULTS = [
  ...mutantsOf('faults/driver', 'core/guest/driver.ts', ['fault/host-restart', 'fault/frames'], {
    'another-host-not-noticed': ['if (generation !== this.#generation) throw', 'if (false) throw'],
    'reset-recycles-first': [
      'this.#queuesOpen = false;\n    this.#setStatus(0);',
      'this.commands.cancelFences();\n    this.#setStatus(0);',
    ],
    'cancelled-fences-not-counted': [
      'this.counters.add(Counter.fencesCancelled, this.commands.cancelFences());',
      'this.commands.cancelFences();',
    ],
    'reset-leaves-fences': ['this.counters.add(Counter.fencesCancelled, this.commands.cancelFences());', ''],
  }),
  ...mutantsOf('faults/ids', 'core/guest/resource.ts', ['fault/host-restart'], {
    'ids-of-an-old-session-again': ['this.#counters = counters;', 'this.#counters = new (counters.constructor as new () => Counters)();'],
  }),
  ...mutantsOf('faults/notifications', 'core/guest/driver.ts', ['unit/guest/probe'], {
    'loss-not-counted': ['if (!guestDoorbell.sleep(sample, clock.slot[0] + LATE_RING_NS)) this', 'if (false) this'],
    'late-ring-counted': ['if (!guestDoorbell.sleep(sample, clock.slot[0] + LATE_RING_NS)) this', 'this'],
    'counted-without-work': 'if (!this.poll()) return;',
    'unasked-ring-missed': [
      'if (!rung) this.#lookAgain(sample);\n      this.endSleep();',
      'this.endSleep();\n      if (!rung) this.#lookAgain(sample);',
    ],
  }),
  ...mutantsOf('faults/plane', 'core/guest/plane.ts', ['fault/frames', 'unit/guest/plane'], {
    'cancelled-fence-is-a-sample': ["if (fence !== null && fence.state === 'cancelled')", 'if (false)'],
    'overdue-buffer-drawn-again': 'if (fb !== null) fb.overdue = fence;',
  }),
  ...mutantsOf('faults/device', 'core/host/device.ts', ['fault/host-restart'], {
    'old-driver-taken': 'this.#status = STALE;\n      this.#broken = true;',
    'reset-of-an-old-driver-unseen': 'this.#status = STALE;',
  }),
  ...mutantsOf('faults/session', 'workers/supervisor.ts', ['fault/supervisor', 'fault/host-restart'], {
    'same-session-after-a-death': 'registers.generation = (registers.generation + 1) | 0;',
    'device-not-marked': 'registers.deviceStatus = Status.NEEDS_RESET;',
    'more-deaths-than-planned': ' || this.#left[role] === 0',
    'reset-not-asked-for': 'await this.#write(0);',
    'stopped-guest-replaced': "if (role === 'guest' && hasStopped(this.#cells)) return false;",
    'stopped-guest-ended': [" || (role === 'guest' && !claimKill(this.#cells))", ''],
    'replaced-after-the-end': ['if (this.#ending) return false;', ''],
    'killed-for-ever': 'beginLife(this.#cells);',
  }),
  ...mutantsOf('faults/loop', 'workers/loop.ts', ['fault/notifications'], {
    'no-timed-re-check': 'if (recheck) bell.deadline[0] = times[0];',
    'loss-not-counted': 'if (!bell.blockUntilDeadline(sample)) counters.add(Counter.lostNotifications, 1);',
    'late-ring-counted': ['if (!bell.blockUntilDeadline(sample)) counters', 'counters'],
    'late-wake-counted': [' || due', ''],
    'unasked-ring-missed': [
      'if (!rung && recheck) lookAgain',
      'if (!rung && recheck) side.endSleep();\n      if (!rung && recheck) lookAgain',
    ],
  }),
  ...mutantsOf('faults/clock', 'workers/clock-check.ts', ['fault/clock'], {
    'steps-not-counted': 'if (!(moved <= TOLERANCE_NS)) this.#counters.add(Counter.clockSteps, 1);',
    'no-number-is-fine': ['!(moved <= TOLERANCE_NS)', 'moved > TOLERANCE_NS'],
    'only-ahead': ['Math.abs(difference(this.#clock) - this.#difference)', 'difference(this.#clock) - this.#difference'],
  }),
  ...mutantsOf('faults/guest', 'workers/guest-life.ts', ['fault/host-restart', 'fault/supervisor'], {
    'not-reset': 'lost.driver.reset();',
    'never-stuck': ['if (times[1] > this.#limitNs)', 'if (false)'],
  }),
  ...mutantsOf('faults/guest-end', 'workers/guest-side.ts', ['unit/workers/session'], {
    'stops-unsaid': 'if (!claimStop(cells)) standStill();',
  }),
  ...mutantsOf('faults/samples', 'benchmarks/samples.ts', ['fault/frames'], {
    'cancelled-frame-sampled': ['if (!timedOut && !cancelled) sampleFrame(', 'if (!timedOut) sampleFrame('],
  }),
  ...mutantsOf('faults/checks', 'benchmarks/faults.ts', ['fault/clock'], {
    'clock-step-believed': 'if (clockSteps !== undefined)',
    'everything-explained': ['if (tells && !explained(name, options))', 'if (false)'],
    'slow-sink-blamed': [" && !(name === 'fencesTimedOut' && one.verified)", ''],
    'left-behind-unseen': ["left === 0 ? 'pass' : 'fail'", "'pass'"],
    'never-injected-unseen': ["whole > 0 ? 'pass' : 'fail'", "'pass'"],
  }),
];
