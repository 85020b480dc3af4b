import { describe, expect, test } from 'vitest';
import { checkRun } from '../../../benchmarks/checks.ts';
import { conclusions } from '../../../benchmarks/encode/answers.ts';
import { encodeChecks } from '../../../benchmarks/encode/checks.ts';
import { encodeFigures } from '../../../benchmarks/encode/figures.ts';
import { encodeGain, predictedFps } from '../../../benchmarks/encode/gains.ts';
import { ENCODE } from '../../../benchmarks/encode/suite.ts';
import { OtherLoad } from '../../../benchmarks/other-load.ts';
import { checkScenario, scenario, scenarioOfId } from '../../../benchmarks/scenarios.ts';
import type { Studied } from '../../../benchmarks/study.ts';
import { DEFAULT_OPTIONS, type MachineOptions } from '../../../core/machine/options.ts';
import { planMachine } from '../../../core/machine/plan.ts';
import { FrameColumn, FrameLog } from '../../../core/measure/frame-log.ts';
import { CopyStage, Ledger } from '../../../core/memory/ledger.ts';
import { EncodeColumn, EncodeLog } from '../../../workers/encode/encode-log.ts';
import { type EncodeShare, shareFor } from '../../../workers/encode/link.ts';
import type { GuestReport } from '../../../workers/task.ts';
import { encodeMetrics } from '../../support/encode-metrics.ts';
import { buildScenario } from '../../support/run-document.ts';

const MS = 1e6;
const GUEST = { startNs: 10 * MS, endNs: 110 * MS, totalFrames: [7] } as unknown as GuestReport;

/** Rows of an encode log, times in ms. */
function written(
  rows: { frame: number; taken: number; released: number; packet: number }[],
  bytes = { gather: 0, encoder: 0 },
): EncodeShare {
  const share = shareFor(1);
  const log = new EncodeLog(share.log);
  for (const { frame, taken, released, packet } of rows) {
    const row = log.next;
    log.cells[row + EncodeColumn.frame] = frame;
    log.cells[row + EncodeColumn.taken] = taken * MS;
    log.cells[row + EncodeColumn.released] = released * MS;
    log.cells[row + EncodeColumn.packet] = packet * MS;
    log.cells[row + EncodeColumn.convertNs] = 3 * MS;
    log.cells[row + EncodeColumn.encodeNs] = 5 * MS;
    log.cells[row + EncodeColumn.bytes] = 100;
    log.added();
  }
  const ledger = new Ledger(share.ledger);
  if (bytes.gather > 0) ledger.charge(CopyStage.gather, bytes.gather);
  for (const _ of rows) ledger.charge(CopyStage.encoder, bytes.encoder);
  return share;
}

function plan(options: Partial<MachineOptions> = {}) {
  return planMachine({ ...DEFAULT_OPTIONS, width: 64, height: 32, sink: 'encode', maxRefreshHz: null, logCapacity: 64, ...options }, 0);
}

describe('the figures of an encode thread', () => {
  test('are of the packets that came out in the measured time; latency counts from the submission', () => {
    const of = plan();
    const log = new FrameLog(of.frameLog, 1, 64);
    for (const [frame, submit] of [
      [0, 1],
      [1, 12],
      [2, 40],
    ]) {
      log.cells[log.row(0, frame) + FrameColumn.submit] = submit * MS;
      log.cells[log.row(0, frame) + FrameColumn.fenceSeen] = (submit + 10) * MS;
    }
    const share = written([
      { frame: 0, taken: 2, released: 4, packet: 8 },
      { frame: 1, taken: 20, released: 24, packet: 32 },
      { frame: 2, taken: 40, released: 44, packet: 45 },
    ]);
    const figures = encodeFigures(of, GUEST, share, { frames: 50, ns: 1e9 }, 8 * MS, 4);
    const metrics = figures.metrics();
    expect(metrics).toMatchObject({
      framesEncoded: 2,
      framesSuperseded: 4,
      fps: 20,
      aloneFps: 50,
      transferUs: 2000,
      packetBytes: 100,
      releasedLate: 0,
    });
    expect([metrics.gatherCpuUs, metrics.conversionCpuUs, metrics.encodingCpuUs]).toEqual([0, 3000, 5000]);
    // Of frame 2 the packet was out at 45 ms, and the guest saw its fence at 50.
    expect([metrics.seenLate, figures.fenced]).toEqual([1, 2]);
    expect(metrics.submitToPacketUs?.max).toBeCloseTo(20_000, -2);
    expect(metrics.heldUs?.p50).toBeCloseTo(4000, -1);
  });

  test('of a fixed rate count from when a frame was due', () => {
    const of = plan({ rateHz: 60 });
    const log = new FrameLog(of.frameLog, 1, 64);
    log.cells[log.row(0, 5) + FrameColumn.scheduled] = 15 * MS;
    log.cells[log.row(0, 5) + FrameColumn.submit] = 18 * MS;
    const metrics = encodeFigures(of, GUEST, written([{ frame: 5, taken: 20, released: 24, packet: 30 }]), null, 0, 0).metrics();
    expect(metrics.submitToPacketUs?.max).toBeCloseTo(15_000, -2);
    expect([metrics.aloneFps, metrics.transferUs]).toEqual([null, 0]);
  });

  test('hold no latency of a frame whose row has become a later one’s', () => {
    const of = plan();
    const log = new FrameLog(of.frameLog, 1, 64);
    for (const frame of [66, 3]) {
      log.cells[log.row(0, frame) + FrameColumn.submit] = 15 * MS;
      log.cells[log.row(0, frame) + FrameColumn.fenceSeen] = 99 * MS;
    }
    const share = written([
      { frame: 2, taken: 20, released: 24, packet: 30 },
      { frame: 3, taken: 40, released: 44, packet: 55 },
    ]);
    const figures = encodeFigures(of, { ...GUEST, totalFrames: [67] }, share, null, 0, 0);
    expect(figures.metrics()).toMatchObject({ framesEncoded: 2, seenLate: 1 });
    expect([figures.toPacket.count, figures.toPacket.max / MS]).toEqual([1, expect.closeTo(40, 1)]);
  });
});

describe('the checks of a scenario with an encoder', () => {
  const of = (options: Partial<MachineOptions>, rows: Parameters<typeof written>[0], gather = 0, encoder = (64 * 32 * 3) / 2) => {
    const one = scenario({ width: 64, height: 32, sink: 'encode', maxRefreshHz: null, memory: 'memfd', ...options });
    const encode = encodeFigures(plan(), GUEST, written(rows, { gather, encoder }), null, 0, 0);
    const found = encodeChecks({ scenario: one, timed: [{ encode, repetition: { disturbed: false } }] as never });
    return found.map(({ name, status }) => [name.replace(`${one.id} `, ''), status]);
  };
  const EARLY = 'gives every buffer back before its packet is out';
  const NOTHING = "copies nothing before the encoder's own";
  const good = [{ frame: 0, taken: 20, released: 24, packet: 30 }];

  test('pass where buffers come back first and nothing was put together', () => {
    expect(of({ path: 'vfio' }, good)).toEqual([
      [EARLY, 'pass'],
      [NOTHING, 'pass'],
    ]);
    expect(of({ path: 'copy' }, good)).toEqual([[EARLY, 'pass']]);
  });

  test.each([
    [6, [], 'inconclusive'],
    [4, [], 'pass'],
    [0, [6], 'fail'],
    [0, [5], 'fail'],
    [10, [4], 'pass'],
    [10, [7, 4, 3], 'pass'],
  ] as const)('of %i and %j seen late of 10, want the most seen in time of what nothing disturbed: %s', (disturbed, calm, status) => {
    const one = scenario({ width: 64, height: 32, sink: 'encode', maxRefreshHz: null, memory: 'memfd', path: 'vfio' });
    const timed = [...calm, disturbed].map((seenLate, i) => ({
      encode: Object.assign(encodeFigures(plan(), GUEST, written(good), null, 0, 0), { fenced: 10, seenLate }),
      repetition: { disturbed: i === calm.length },
    }));
    const found = encodeChecks({ scenario: one, timed: timed as never }).find(({ name }) => name.includes('lets the guest see'));
    expect(found?.status).toBe(status);
  });

  test('ask nothing of a guest that waits for no fence', () => {
    const encode = encodeFigures(plan(), GUEST, written(good), null, 0, 0);
    const one = scenario({ width: 64, height: 32, sink: 'encode', maxRefreshHz: null, memory: 'memfd', path: 'copy' });
    const found = encodeChecks({ scenario: one, timed: [{ encode, repetition: { disturbed: false } }] as never });
    expect(found.map(({ name }) => name.replace(`${one.id} `, ''))).toEqual([EARLY]);
  });

  test('fail where a buffer comes back after its packet', () => {
    expect(of({ path: 'copy' }, [{ frame: 0, taken: 20, released: 31, packet: 30 }])).toEqual([[EARLY, 'fail']]);
  });

  test('fail where an imported frame was put together of pages that are files, or the ledger lacks what the encoder takes', () => {
    expect(of({ path: 'vfio' }, good, 8192)[1]).toEqual([NOTHING, 'fail']);
    expect(of({ path: 'vfio', memory: 'shared' }, good, 8192)[1]).toEqual([NOTHING, 'inconclusive']);
    expect(of({ path: 'vfio' }, good, 0, 0)[1]).toEqual([NOTHING, 'fail']);
  });

  test.each([
    [95, 'pass'],
    [80, 'fail'],
  ])('hold 1080p against the encoder alone: %d of 100 frames a second', (fps, status) => {
    const one = scenario({ path: 'udmabuf', sink: 'encode', maxRefreshHz: null, memory: 'memfd' });
    const encode = Object.assign(encodeFigures(plan(), GUEST, written(good), null, 0, 0), {
      metrics: () => ({ fps, aloneFps: 100 }),
    });
    const found = encodeChecks({ scenario: one, timed: new Array(5).fill({ encode, repetition: { disturbed: false } }) as never });
    expect(found.find(({ name }) => name.includes('alone'))?.status).toBe(status);
  });
});

test('checks of what host work costs are not made of scenarios whose host shares its CPU with an encoder', () => {
  const repetition = (us: number) => ({
    repetition: { hostServiceUs: { p50: us }, bytesCopiedPerFrame: 0, framesVerified: 1, framesTorn: 0, importUs: null, disturbed: false },
    totals: { allFrames: 100, fallback: null, framesShown: 100, framesFromGuest: 100, errorResponses: 0 },
    faults: { counters: {}, injected: 0, missed: [] },
  });
  const entry = (path: 'copy' | 'udmabuf', sink: 'latch' | 'encode', us: number) => ({
    scenario: scenario({ path, sink, width: 3840, height: 2160 }),
    timed: [repetition(us)],
    verified: [repetition(us)],
    samples: { presented: 100, disturbed: 0, service: () => ({ p50: us }) },
    failures: [],
  });
  const names = (sink: 'latch' | 'encode') =>
    checkRun([entry('copy', sink, 500), entry('udmabuf', sink, 100)] as never, ENCODE.timing, [], { jsCopyToMemcpyRatio: null } as never)
      .map(({ name }) => name)
      .filter((name) => name.includes('times udmabuf'));
  expect([names('latch').length, names('encode').length]).toEqual([1, 0]);
});

describe('what importing gains', () => {
  const encoded = (path: 'vfio' | 'copy', fps: number, cpuUs: number) => {
    const one = buildScenario({ path, height: 1080, width: 1920, rateHz: null });
    const encode = { ...encodeMetrics(), fps, conversionCpuUs: cpuUs / 2, encodingCpuUs: cpuUs / 2, gatherCpuUs: 0 };
    one.results = { ...one.results, encode, hostCpuUsPerFrame: 2000, guestCpuUsPerFrame: 0 };
    one.repetitions = one.repetitions.map((each) => ({ ...each, encode }));
    return one;
  };

  test('is the ratio of neighbouring repetitions, with its interval', () => {
    const gain = encodeGain(encoded('vfio', 120, 8000), encoded('copy', 100, 8000));
    expect([gain?.median, gain?.pairs]).toEqual([expect.closeTo(1.2, 5), 3]);
    expect(encodeGain(buildScenario({ path: 'vfio' }), buildScenario({ path: 'copy' }))).toBeNull();
    const busy = encoded('copy', 100, 8000);
    busy.repetitions[1] = { ...busy.repetitions[1], disturbed: true, encode: { ...encodeMetrics(), fps: 1 } };
    expect(encodeGain(encoded('vfio', 120, 8000), busy)).toMatchObject({ median: expect.closeTo(1.2, 5), pairs: 2 });
  });

  test('goes by rounds: one that failed on one side is left out, and so is what was measured once more', () => {
    const slower = (by: number) => (each: { round?: number }, i: number) => ({
      ...each,
      encode: { ...encodeMetrics(), fps: by * (i + 1) },
    });
    const [one, other] = [encoded('vfio', 120, 8000), encoded('copy', 100, 8000)];
    one.repetitions = one.repetitions.map(slower(120)) as typeof one.repetitions;
    other.repetitions = other.repetitions.map(slower(100)) as typeof one.repetitions;
    other.repetitions.shift();
    expect(encodeGain(one, other)).toMatchObject({ median: expect.closeTo(1.2, 5), pairs: 2 });
    const { round: _, ...later } = one.repetitions[0];
    expect(encodeGain({ ...one, repetitions: [later] }, { ...other, repetitions: [later] })).toBeNull();
  });

  test('is predicted from the CPU times: one thread encodes, and all have so many CPUs', () => {
    expect(predictedFps(encoded('vfio', 120, 8000), 2)).toBe(125);
    expect(predictedFps(encoded('vfio', 120, 8000), 1)).toBe(100);
    expect(predictedFps(buildScenario({ path: 'vfio' }), 2)).toBeNull();
  });

  /** Encoded at so many frames a second each, `pairs` of them; the copying path's copies take a quarter of what encoding takes. */
  const studied = (figures: Readonly<Record<'vfio' | 'copy', number>>, pairs: number): Studied[] =>
    (['vfio', 'copy'] as const).map((path) => {
      const record = encoded(path, figures[path], 8000);
      const [one] = record.repetitions;
      if (path === 'copy' && record.results.encode !== undefined) record.results.encode.transferUs = 2000;
      record.repetitions = Array.from({ length: pairs }, () => one);
      return { options: scenario({ path, rateHz: null }).options, record };
    });

  test('is kept for each zero-copy path over each that copies, size by size, with what is predicted and what the copies take', () => {
    expect(ENCODE.study?.gains?.(studied({ vfio: 120, copy: 100 }, 5))).toEqual([
      {
        size: '1080p',
        path: 'vfio',
        over: 'copy',
        ratio: expect.objectContaining({ median: expect.closeTo(1.2, 5), pairs: 5 }),
        predicted: 1,
        copiesShare: 0.25,
      },
    ]);
    expect(ENCODE.study?.gains?.(studied({ vfio: 120, copy: 100 }, 5).slice(0, 1))).toEqual([]);
    const paced = studied({ vfio: 120, copy: 100 }, 5).map(({ options, record }) => ({ options: { ...options, rateHz: 60 }, record }));
    expect(ENCODE.study?.gains?.(paced)).toEqual([]);
  });

  test.each([
    [{ vfio: 120, copy: 100 }, 5, /gets more frames a second by importing than by copying, .*: at 1080p in 1 of 1, 1\.20 times\.$/],
    [{ vfio: 100, copy: 100 }, 5, /gets no more frames a second .*: in none of 1 comparisons\.$/],
    [{ vfio: 120, copy: 100 }, 4, /^Too few pairs to tell a gain from noise: 5 a comparison/],
  ])('%j in %d pairs is concluded in a sentence', (figures, pairs, words) => {
    const answers = ENCODE.study?.answers([], studied(figures, pairs));
    expect(answers?.[0]).toMatch(words);
    expect(answers?.at(-1)).toMatch(/^Encoded was stamp: /);
  });

  test('names the file that the guest has shown', () => {
    const film = {
      file: '/film.mp4',
      name: 'film.mp4',
      codec: 'h264',
      width: 640,
      height: 360,
      aspect: 16 / 9,
      isStill: false,
      digest: '1a2b3c4d',
    };
    const all = studied({ vfio: 100, copy: 100 }, 5).map((one) => ({
      ...one,
      options: { ...one.options, renderer: 'content', content: film } as const,
    }));
    expect(ENCODE.study?.answers([], all).at(-1)).toBe('Encoded was film.mp4, h264 640x360, 1a2b3c4d, decoded meanwhile on the same CPUs.');
  });

  test('that is a loss beyond noise is said as well', () => {
    const answers = ENCODE.study?.answers([], studied({ vfio: 80, copy: 100 }, 5));
    expect(answers?.[1]).toBe('Fewer, beyond noise: at 1080p in 1 of 1, 0.80 times.');
  });

  test('is bounded by the narrowest place, which the CPU times tell: the encode thread, or all threads together', () => {
    const all = studied({ vfio: 125, copy: 110 }, 5);
    expect(conclusions(all, [], 2)).toEqual([
      'The narrowest place is the encode thread in 2 of 2 scenarios: it works 88 to 100% of the time, while other threads make the copies.',
    ]);
    expect(conclusions(studied({ vfio: 99, copy: 90 }, 5), [], 1)).toEqual([
      "In 2 of 2 scenarios it is the machine's CPU, which all threads share and use up.",
    ]);
    expect(conclusions([], [], 2)).toEqual([]);
  });

  test('of frames that nothing but waiting bounds has no narrowest place', () => {
    expect(conclusions(studied({ vfio: 125, copy: 40 }, 5), [], 2)).toEqual([
      expect.stringMatching(/^The narrowest place is the encode thread in 1 of 2 scenarios: it works 100% /),
      'In 1 of 2 scenarios no CPU time bounds the frames a second: threads waited, for each other or for other programs.',
    ]);
  });
});

test('the load of other programs is what is busy and not this one', () => {
  const load = new OtherLoad([], { busy: 100, all: 1000, own: 50 });
  expect(load.percent({ busy: 900, all: 3000, own: 650 })).toBe(10);
  expect(load.percent({ busy: 100, all: 1000, own: 50 })).toBe(0);
});

test.each([
  [{ width: 8192, height: 8192 }, 'larger than H.264 allows'],
  [{ fences: false }, 'without faults, and with fences'],
  [{ faults: [{ name: 'slow-sink', frame: 3 }] }, 'without faults, and with fences'],
] as const)('%j with an encoder is refused before anything starts', (options, why) => {
  expect(() => checkScenario(scenario({ path: 'vfio', sink: 'encode', ...options }), 2 ** 40)).toThrow(why);
});

test('an id names the most that is encoded a second, where it is not as usual', () => {
  for (const [maxRefreshHz, id] of [
    [30, 'vfio-1080p-max-encode'],
    [null, 'vfio-1080p-max-encode-refreshmax'],
    [59.94, 'vfio-1080p-max-encode-refresh59.94'],
  ] as const) {
    const one = scenario({ path: 'vfio', sink: 'encode', maxRefreshHz });
    expect([one.id, scenarioOfId(id)]).toEqual([id, one]);
  }
});
