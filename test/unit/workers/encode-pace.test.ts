import { expect, test } from 'vitest';
import { DEFAULT_OPTIONS, PATHS } from '../../../core/machine/options.ts';
import { Counter } from '../../../core/measure/counters.ts';
import { EncodeSink } from '../../../workers/encode/encode-sink.ts';
import { shareFor } from '../../../workers/encode/link.ts';
import { Offers } from '../../../workers/encode/offers.ts';
import { InlineMachine } from '../../../workers/inline.ts';

const FRAMES = 120;

/** A whole machine on a virtual clock. Its encoder begins a frame only when so many have been drawn since the last, 0: never. */
function run(path: (typeof PATHS)[number], every: number): { ns: number; timedOut: number; failed: number; encoded: number } {
  const share = shareFor(1);
  const offers = new Offers(share);
  let encoded = 0;
  const machine = new InlineMachine(
    { ...DEFAULT_OPTIONS, path, width: 64, height: 48, rateHz: 60, scanoutUs: 0, logCapacity: 256 },
    { wrapSink: () => new EncodeSink({ share, bell: { ring: () => {} }, post: () => {}, everyFrame: false }) },
  );
  machine.clock.read();
  const start = machine.clock.slot[0];
  let next = every;
  machine.runUntil(() => {
    const drawn = machine.guest.compositor.committed;
    if (every > 0 && drawn >= next && offers.take(machine.clock.slot)) {
      next = drawn + every;
      offers.release(true, machine.clock.slot);
      encoded++;
    }
    return drawn >= FRAMES;
  });
  machine.clock.read();
  const counters = machine.guest.counters;
  return {
    ns: machine.clock.slot[0] - start,
    timedOut: counters.get(Counter.fencesTimedOut),
    failed: machine.guest.compositor.failed,
    encoded,
  };
}

test.each(PATHS)('by %s the guest keeps its 60 frames a second, whether the encoder takes one frame in ten or none at all', (path) => {
  for (const every of [10, 0]) {
    const { ns, timedOut, failed, encoded } = run(path, every);
    // The first frame, before the guest flips, is waited for: at most its 50 ms.
    expect(ns / 1e9).toBeLessThan((FRAMES + 5) / 60);
    expect(timedOut).toBeLessThanOrEqual(1);
    expect(failed).toBe(0);
    expect(encoded > 0).toBe(every > 0);
  }
});
