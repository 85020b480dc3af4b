import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { MeasuredRepetition } from '../../../benchmarks/metrics.ts';
import { copiesAsRecorded } from '../../../benchmarks/realguest/check.ts';
import { guestFrames, guestRate, nameOf, onHost, recordedScenario, recordedSettings } from '../../../benchmarks/realguest/recorded.ts';
import { realGuests } from '../../../benchmarks/realguest/suite.ts';
import { checkScenario, type Scenario, ScenarioError, scenario } from '../../../benchmarks/scenarios.ts';
import { workloadRate } from '../../../core/machine/workload.ts';
import { formatTrace } from '../../../core/trace/trace.ts';
import { copying, flipping, HEIGHT, type RecordedGuest, WIDTH } from '../../support/recorded-guest.ts';

const ROOT = join(import.meta.dirname, '../../..');
const FRAME = WIDTH * HEIGHT * 4;
const of = ({ trace }: RecordedGuest, host = {}): Scenario =>
  recordedScenario('trace-a', 'a', formatTrace(trace.header, trace.records), host);
const flips = of(flipping(9, 16_667));

describe('the recordings of the suite', () => {
  it.each(realGuests().map((one) => [one.id, one] as const))('%s: 120 flips at about 60 Hz, whose frames carry numbers', (id, one) => {
    const { workload } = one.recorded ?? { workload: null };
    if (workload === null) throw new Error('not recorded');
    expect(workload.frames).toHaveLength(120);
    expect(Math.abs(workloadRate(workload) - 60)).toBeLessThan(1);
    expect(workload).toMatchObject({ stamped: true, countable: true });
    expect(one.options).toMatchObject({
      rateHz: 60,
      path: id.includes('copy') ? 'copy' : 'udmabuf',
      width: id.includes('4k') ? 3840 : 1920,
    });
  });

  it('are no file of the tests: none is in the tree twice', () => {
    const digests = ['benchmarks/traces', 'test/fixtures/traces'].flatMap((folder) =>
      readdirSync(join(ROOT, folder)).map((name) =>
        createHash('sha256')
          .update(readFileSync(join(ROOT, folder, name)))
          .digest('hex'),
      ),
    );
    expect(new Set(digests).size).toBe(digests.length);
  });
});

describe('a scenario of a trace', () => {
  it('has the path, size and buffers of the guest, and the host that it is given', () => {
    expect(flips.options).toMatchObject({
      path: 'udmabuf',
      width: WIDTH,
      height: HEIGHT,
      buffers: 2,
      rateHz: 60,
      listLimit: 1024,
      scanoutUs: 2000,
    });
    expect(of(copying(9, 16_667), { listLimit: 7, rateHz: 50 }).options).toMatchObject({ path: 'copy', listLimit: 7, rateHz: 50 });
  });

  it('names its recording, by its content too', () => {
    expect(recordedSettings(flips)).toEqual({ recording: expect.stringMatching(/^a [0-9a-f]{8}$/) });
    expect(recordedSettings(of(flipping(9, 20_000)))).not.toEqual(recordedSettings(flips));
    expect(recordedSettings(scenario({}))).toEqual({});
    expect(nameOf('/a b/my guest (1).jsonl')).toBe('my-guest-1-');
    expect(nameOf('.jsonl')).toBe('trace');
  });

  it('takes settings of the host, which its id names as any id does, and refuses those of the guest by their flag', () => {
    expect(onHost(flips, {})).toEqual(flips);
    const other = onHost(flips, { sink: 'display', listLimit: 9, fences: false, handicapPercent: 5 });
    expect(other).toMatchObject({ id: 'trace-a-display-nofences-handicap5', options: { listLimit: 9 }, recorded: flips.recorded });
    expect(() => onHost(flips, { migrateEvery: 3 })).toThrow(ScenarioError);
    expect(() => onHost(flips, { inOrder: true })).toThrow(/--in-order does not go with a recorded guest/);
  });

  it('that was slower than the display shows fewer frames in the same time, and two at least', () => {
    const slow = of(flipping(9, 100_000));
    expect(guestRate(slow)).toBeCloseTo(10, 3);
    expect(guestRate(flips)).toBeCloseTo(60, 1);
    expect(guestRate(of(flipping(9, 5000)))).toBe(60);
    expect(guestRate(scenario({ rateHz: 30 }))).toBe(30);
    expect(guestFrames(slow, 120)).toBe(20);
    expect(guestFrames(slow, 6)).toBe(2);
    expect(guestFrames(scenario({ rateHz: 60 }), 1)).toBe(1);
    expect(guestFrames(scenario({ rateHz: null }), 120)).toBe(120);
  });

  it('takes the memory of its buffers and of the host copies, not that of its regions', () => {
    expect(() => checkScenario(flips, 16 * 2 ** 20)).not.toThrow();
    expect(() => checkScenario(flips, 2 ** 20)).toThrow(/trace-a needs about/);
  });
});

describe('its copies are checked to the byte', () => {
  const measured = (frames: number, transfer: number, fallback: number, framesFromGuest: number): MeasuredRepetition =>
    ({
      totals: { allFrames: frames, framesShown: frames, framesFromGuest, bytesByStage: { transfer, fallback } },
    }) as unknown as MeasuredRepetition;

  it.each([
    ['imported', flips, measured(7, 0, 0, 7), measured(7, 0, FRAME, 6)],
    ['past the list limit', onHost(flips, { listLimit: 1 }), measured(7, 0, 7 * FRAME, 0), measured(7, 0, 0, 7)],
    ['transferred', of(copying(9, 16_667)), measured(7, 7 * FRAME, 0, 0), measured(7, 6 * FRAME, 0, 0)],
    ['shown from elsewhere', flips, measured(7, 0, 0, 7), measured(7, 0, 0, 6)],
  ])('%s', (_, one, right, wrong) => {
    expect(copiesAsRecorded(one, [right, right])).toMatchObject({ status: 'pass', detail: '14 frames in the ledger' });
    expect(copiesAsRecorded(one, [right, wrong])).toMatchObject({ status: 'fail' });
  });
});
