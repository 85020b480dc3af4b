import { describe, expect, it } from 'vitest';
import { DriverError } from '../../../core/guest/errors.ts';
import { planWorkload } from '../../../core/machine/workload-plan.ts';
import { Counter } from '../../../core/measure/counters.ts';
import { FrameColumn } from '../../../core/measure/frame-log.ts';
import { CopyStage } from '../../../core/memory/ledger.ts';
import { Flag, Response } from '../../../core/protocol/constants.ts';
import { copying, flipping, HEIGHT, WIDTH } from '../../support/recorded-guest.ts';
import { WorkloadRun } from '../../support/workload-run.ts';

const EVERY_US = 16_667;
const PERIOD_NS = 1e9 / 60;
/** Byte of a request that holds its fence's low byte. */
const FENCE = 8;
const FRAME = WIDTH * HEIGHT * 4;
const blobs = planWorkload(flipping(5, EVERY_US).trace);
const copies = planWorkload(copying(5, EVERY_US).trace);
const differences = (list: readonly number[]): number[] => list.slice(1).map((value, i) => value - list[i]);

describe('frames', () => {
  it('are sent at their recorded times, cycle after cycle, in phase with the ticks of the display', () => {
    const run = new WorkloadRun(blobs).frames(9);
    const submitted = run.column('submit', 9);
    for (const [i, at] of submitted.entries()) expect(at).toBeCloseTo(i, 3);
    expect(run.column('scheduled', 9)).toEqual(submitted);
    expect(submitted[4]).toBeCloseTo(4, 9);
    expect(submitted[8]).toBeCloseTo(8, 9);
  });

  it('are in phase by their mean: one that comes late, the first too, moves no other past its vblank', () => {
    const guest = flipping(3, EVERY_US);
    // Of the flips from the second on, which are repeated, that one comes 6 ms late.
    guest.records.splice(-4);
    guest.flip(422_667, 4);
    for (let i = 2; i < 11; i++) guest.flip(400_000 + i * EVERY_US, 3 + (i % 2));
    const run = new WorkloadRun(planWorkload(guest.trace)).frames(20).drain();
    const ticks = Array.from({ length: 10 }, (_, i) => run.log.cells[run.log.row(0, i) + FrameColumn.submit] / PERIOD_NS);
    expect(ticks.map((at) => Math.round((at - Math.round(at)) * 10) + 0)).toEqual([3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    expect(differences(run.column('present', 20)).every((gap) => Math.abs(gap - 1) < 1e-6)).toBe(true);
  });

  it('are all shown, at successive vblanks, where the host keeps up', () => {
    const run = new WorkloadRun(blobs).frames(20).drain();
    expect(differences(run.column('present', 20)).every((gap) => Math.abs(gap - 1) < 1e-6)).toBe(true);
    expect(run.host.counters.get(Counter.framesImported)).toBe(run.guest.compositor.committed);
    expect(run.host.ledger.bytesCopied(CopyStage.fallback)).toBe(0);
  });

  it('of a recording at half the rate are shown at every second vblank', () => {
    const run = new WorkloadRun(planWorkload(flipping(5, 2 * EVERY_US).trace)).frames(9);
    expect(differences(run.column('present', 9)).map((gap) => Math.round(gap))).toEqual(new Array(8).fill(2));
  });

  it('wait for the fence of the flip before, and count their latency from the recorded time', () => {
    // Read for longer than a period: each flip has to wait.
    const run = new WorkloadRun(blobs, { scanoutUs: 20_000 }).frames(8).drain();
    const [submitted, seen, due] = [run.column('submit', 8), run.column('fenceSeen', 8), run.column('scheduled', 8)];
    for (let i = 1; i < 8; i++) expect(submitted[i]).toBeGreaterThanOrEqual(seen[i - 1]);
    expect(run.guest.driver.inFlight).toBe(0);
    expect(submitted[1] - due[1]).toBeGreaterThan(0.5);
    // A guest that waits does not catch up: no backlog grows.
    for (let i = 0; i < 8; i++) expect(submitted[i] - due[i]).toBeLessThan(3);
  });

  it('are in phase again after a stall, and only that stall is in their latencies', () => {
    const run = new WorkloadRun(blobs).frames(4);
    // To just after a vblank: the frame that is late waits for the next, and the one after it waits for that one's fence.
    run.clock.advance(2.9 * PERIOD_NS);
    run.frames(12).drain();
    const [submitted, due, shown] = [run.column('submit', 12), run.column('scheduled', 12), run.column('present', 12)];
    const latencies = shown.map((at, i) => Math.round(2 * (at - due[i])) / 2);
    expect(latencies.slice(0, 3)).toEqual([0.5, 0.5, 0.5]);
    expect(Math.max(...latencies)).toBeGreaterThan(2);
    expect(latencies.slice(6)).toEqual(new Array(6).fill(0.5));
    for (const at of submitted.slice(6)) expect(at).toBeCloseTo(Math.round(at), 3);
    expect(differences(shown).every((gap) => gap > 0.99)).toBe(true);
  });

  it('that were due in a stall are not sent in a burst afterwards, where no fence holds them back either', () => {
    const run = new WorkloadRun(copies).frames(4);
    run.clock.advance(2.9 * PERIOD_NS);
    run.frames(12).drain();
    // The late one alone gives way to the one after it.
    expect(run.host.counters.get(Counter.superseded)).toBe(1);
  });

  it('that waited for less than half a period go at once: none misses its vblank', () => {
    const run = new WorkloadRun(blobs, { scanoutUs: (0.7 * PERIOD_NS) / 1000 }).frames(12).drain();
    const waits = run.column('submit', 12).map((at, i) => at - run.column('scheduled', 12)[i]);
    expect(Math.max(...waits)).toBeGreaterThan(0.1);
    expect(differences(run.column('present', 12)).every((gap) => Math.abs(gap - 1) < 1e-6)).toBe(true);
  });

  it('wait 50 ms at most, as Linux does, and never draw into a buffer that the host still has', () => {
    const run = new WorkloadRun(blobs, { scanoutUs: 120_000, sink: 'verify' }).frames(6).drain();
    const guest = run.plan.guestCounters;
    expect(new Float64Array(guest)[Counter.fencesTimedOut]).toBeGreaterThan(0);
    expect(run.host.counters.get(Counter.framesTorn)).toBe(0);
    expect(run.host.counters.get(Counter.framesVerified)).toBeGreaterThan(0);
  });

  it('without blobs wait for nothing, as Linux does, and each is copied once', () => {
    const run = new WorkloadRun(copies).frames(10).drain();
    const { committed } = run.guest.compositor;
    expect(run.host.ledger.bytesCopied(CopyStage.transfer)).toBe(committed * FRAME);
    expect(run.column('responseSeen', 10).every((at, i) => at >= i)).toBe(true);
  });

  it.each([
    ['imported', blobs],
    ['copied', copies],
  ])('that are %s carry their number, which a sink finds whole', (_, workload) => {
    const run = new WorkloadRun(workload, { sink: 'verify', crcEvery: 2 }).frames(12).drain();
    expect(run.host.counters.get(Counter.framesVerified)).toBe(run.guest.compositor.committed);
    expect(run.host.counters.get(Counter.framesTorn)).toBe(0);
  });

  it('past the list limit are copied, and counted so', () => {
    const run = new WorkloadRun(blobs, { listLimit: 1 }).frames(6).drain();
    expect(run.host.ledger.bytesCopied(CopyStage.fallback)).toBe(run.guest.compositor.committed * FRAME);
    expect(run.host.device.fallbacks[0].reason).toMatch(/list_limit 1 < 2 entries/);
  });
});

describe('chains', () => {
  it('have the recorded bytes and descriptors; fence ids go on rising through the cycles', () => {
    const { taken } = new WorkloadRun(blobs).frames(12);
    const plain = (request: Uint8Array): Uint8Array => request.with(FENCE, 0);
    const sent = [...blobs.setUp, ...blobs.steps, ...blobs.steps, ...blobs.steps].slice(0, taken.length);
    expect(taken.length).toBeGreaterThan(blobs.setUp.length + 20);
    expect(taken.map(({ request }) => plain(request))).toEqual(sent.map(({ request }) => plain(request)));
    expect(taken.map(({ indirect, lengths }) => [indirect, lengths])).toEqual(
      sent.map(({ indirect, readable, writable }) => [indirect, [...readable, ...writable]]),
    );
    const fences = taken.filter(({ request }) => request[4] === Flag.FENCE).map(({ request }) => request[FENCE]);
    expect(fences).toEqual(fences.map((_, i) => i + 1));
  });

  it('that the host answers with an error end the run, by their line', () => {
    const make = (): WorkloadRun => new WorkloadRun(blobs, { listLimit: 1, policy: 'error' });
    expect(make).toThrow(DriverError);
    expect(make).toThrow(/the host answers line 7 of the trace \(RESOURCE_CREATE_BLOB\) with ERR_UNSPEC/);
  });

  it.each([
    ['without its flag', 1, 0],
    ['with the id of another', 2, 77],
  ])('whose fence is not in their answer, %s, end the run: Linux would wait on', (_, word, value) => {
    const run = new WorkloadRun(blobs);
    const { device } = run.host;
    const poll = device.poll.bind(device);
    device.poll = () => {
      const answered = poll();
      const words = new Uint32Array(run.plan.regions[0].memory.buffer);
      for (let at = 0; at + 1 < words.length; at++) {
        if (words[at] === Response.OK_NODATA && words[at + 1] === Flag.FENCE) words[at + word] = value;
      }
      return answered;
    };
    expect(() => run.frames(3)).toThrow(/the host answers line \d+ of the trace without its fence/);
  });
});
