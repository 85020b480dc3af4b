import { describe, expect, it } from 'vitest';
import { checkRun, type Measured } from '../../../benchmarks/checks.ts';
import { type Scenario, scenario } from '../../../benchmarks/scenarios.ts';
import { suiteNamed } from '../../../benchmarks/suites.ts';
import { bytesPerFrame } from '../../../core/machine/plan.ts';
import type { Limits } from '../../../reports/run-document.ts';

const { timing } = suiteNamed('flatness');
const NONE = { jsCopyToMemcpyRatio: null } as unknown as Limits;
const UHD = { width: 3840, height: 2160 };

/** What the checks look at of a repetition. */
function repetition(hostServiceUs: number, framesTorn = 0, round?: number): unknown {
  return {
    repetition: { round, hostServiceUs: { p50: hostServiceUs }, bytesCopiedPerFrame: 0, framesVerified: 20, framesTorn, importUs: null },
    totals: { allFrames: 100, fallback: null, framesShown: 100, framesFromGuest: 100, errorResponses: 0 },
    faults: { counters: {}, injected: 0, missed: [] },
  };
}

function measured(of: Scenario, timed: readonly number[], torn = 0): Measured {
  const samples = { presented: 100, disturbed: 0, service: () => ({ p50: timed[0] }) };
  return {
    scenario: of,
    timed: timed.map((us, round) => repetition(us, 0, round)),
    verified: [repetition(timed[0], torn)],
    samples,
    failures: [],
  } as unknown as Measured;
}

const statusOf = (entries: readonly Measured[], name: RegExp, limits = NONE): (string | undefined)[] =>
  checkRun(entries, timing, [], limits)
    .filter((check) => name.test(check.name))
    .map(({ status }) => status);

describe('the checks of a run', () => {
  it.each([
    [0.85, 0.95, 'pass'],
    [0.8, 0.9, 'pass'],
    [0.8, 0.899, 'fail'],
  ])('the copier fails below 0.9 of memcpy only with its whole interval: [%d, %d]', (low, high, status) => {
    const limits = { jsCopyToMemcpyRatio: { median: (low + high) / 2, low, high, pairs: 30 } } as unknown as Limits;
    expect(statusOf([], /^the copier reaches 0\.9/, limits)).toEqual([status]);
  });

  it('importing single pages at 4K fails over 1000 µs, but where the kernel maps them too', () => {
    const check = (us: number, options: Partial<Scenario['options']>): (string | undefined)[] => {
      const entry = measured(scenario({ path: 'udmabuf', ...UHD, rateHz: null, layout: '4k', ...options }), [1, 1]);
      for (const { repetition: one } of entry.timed) Object.assign(one, { importUs: { mean: us } });
      return statusOf([entry], /^udmabuf-4k-max-4k.* imports /);
    };
    expect(check(1000, {})).toEqual(['pass']);
    expect(check(1001, {})).toEqual(['fail']);
    expect(check(1001, { importBy: 'remap' })).toEqual(['fail']);
    expect(check(1001, { memory: 'memfd', importBy: 'list' })).toEqual(['fail']);
    expect(check(1001, { memory: 'memfd', importBy: 'remap' })).toEqual([]);
  });

  it('host service at 4K fails over 1.1 times that at 1080p only with its whole interval, from 15 pairs', () => {
    const check = (large: readonly number[]): (string | undefined)[] => {
      const small = measured(
        scenario({ path: 'vfio', width: 1920, height: 1080, rateHz: null, layout: '64k' }),
        large.map(() => 1),
      );
      return statusOf([small, measured(scenario({ path: 'vfio', ...UHD, rateHz: null, layout: '64k' }), large)], /of vfio at 4K/);
    };
    const pairs = (us: (i: number) => number): number[] => Array.from({ length: 15 }, (_, i) => us(i));
    expect(check(pairs(() => 1.1))).toEqual(['pass']);
    expect(check(pairs(() => 1.2))).toEqual(['fail']);
    // The median lies above, some pairs below: the interval reaches under the bound.
    expect(check(pairs((i) => (i % 2 === 0 ? 1.3 : 0.9)))).toEqual(['pass']);
    expect(check(pairs(() => 1.2).slice(1))).toEqual([]);
    // One of the small ones has failed: the rounds after it still go together.
    const [small, large] = [1080, 2160].map((height) =>
      measured(scenario({ path: 'vfio', width: (height * 16) / 9, height, rateHz: null, layout: '64k' }), pairs((i) => i + 1).concat(16)),
    );
    (small.timed as unknown[]).shift();
    const [flat] = checkRun([small, large], timing, [], NONE).filter(({ name }) => /of vfio at 4K/.test(name));
    expect(flat.detail).toBe('1.000 [1.000, 1.000], 15 pairs');
  });

  it.each([
    [100, 'pass'],
    [99, 'fail'],
  ])('host service of a copied 4K frame is at least 100 times that of an imported one: %i times', (times, status) => {
    const of = (path: 'copy' | 'udmabuf', us: number): Measured => measured(scenario({ path, ...UHD, rateHz: null }), [us]);
    expect(statusOf([of('copy', times), of('udmabuf', 1)], /^host service of copy at 4K/)).toEqual([status]);
  });

  it.each(['copy', 'readback-copy'] as const)('%s: of a damaged rectangle that alone is transferred, but for the first frame', (path) => {
    const of = scenario({ path, ...UHD, rateHz: null, buffers: 1, damage: { x: 0, y: 0, width: 64, height: 64 } });
    const whole = UHD.width * UHD.height * 4;
    const rectangle = 64 * 64 * 4;
    const readback = path === 'copy' ? 0 : whole;
    const check = (bytes: number): (string | undefined)[] => {
      const entry = measured(of, [1]);
      for (const one of [...entry.timed, ...entry.verified]) {
        Object.assign(one.totals, { framesFromGuest: 0 });
        one.repetition.bytesCopiedPerFrame = bytes / one.totals.allFrames;
      }
      return statusOf([entry], new RegExp(` copies ${readback + rectangle} bytes a frame$`));
    };
    const right = 100 * (readback + rectangle) + whole - rectangle;
    expect(check(right)).toEqual(['pass']);
    expect(check(right + 4)).toEqual(['fail']);
    expect(check(100 * (readback + whole))).toEqual(['fail']);
  });

  it.each([
    ['udmabuf', 100, 99],
    ['copy', 0, 1],
  ] as const)('%s: pixels that lay elsewhere than the path says fail a run, a fallback leaves it open', (path, right, wrong) => {
    const where = (framesFromGuest: number, fallback: string | null = null): (string | undefined)[] => {
      const of = scenario({ path, ...UHD, rateHz: null });
      const entry = measured(of, [1]);
      for (const one of [...entry.timed, ...entry.verified]) {
        Object.assign(one.totals, { framesFromGuest, fallback });
        one.repetition.bytesCopiedPerFrame = bytesPerFrame(of.options);
      }
      return statusOf([entry], / bytes a frame$/);
    };
    expect(where(right)).toEqual(['pass']);
    expect(where(wrong)).toEqual(['fail']);
    expect(where(wrong, 'list_limit')).toEqual(['inconclusive']);
  });

  it('one torn frame fails a run; without fences, or with linux-pacing, nobody asks', () => {
    const tears = (torn: number, options: object = {}): (string | undefined)[] =>
      statusOf([measured(scenario({ path: 'udmabuf', ...UHD, rateHz: 60, ...options }), [1], torn)], /tears no frame$/);
    expect(tears(0)).toEqual(['pass']);
    expect(tears(1)).toEqual(['fail']);
    expect(tears(1, { fences: false })).toEqual([]);
    expect(tears(1, { linuxPacing: true })).toEqual([]);
  });
});
