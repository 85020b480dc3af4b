import type { Distribution, Latencies, Metrics, Path, Repetition, RunDocument, Scenario, ServiceTime } from '../../reports/run-document.ts';
import { PATHS } from '../../reports/run-document.ts';

/** Copies of a frame on each path. */
export const COPIES: Record<Path, number> = { vfio: 0, udmabuf: 0, 'readback-blob': 1, copy: 1, 'readback-copy': 2 };

const STAMP = '2026-02-03T10:20:30.000Z';
/** Plausible speed of a copy, bytes a microsecond. */
const COPY_BYTES_PER_US = 8100;
const RESOLUTIONS: readonly (readonly [number, number])[] = [
  [1920, 1080],
  [3840, 2160],
];

export interface ScenarioOptions {
  path: Path;
  width?: number;
  height?: number;
  rateHz?: number | null;
  repetitions?: number;
}

/** Figures as a two-core machine gave them: a copy runs at 8.1 GB/s, everything else costs microseconds. */
export function buildScenario(options: ScenarioOptions): Scenario {
  const { path, width = 3840, height = 2160, rateHz = 60, repetitions = 3 } = options;
  const timed: Repetition[] = [];
  for (let i = 0; i < repetitions; i++) {
    timed.push({
      ...buildMetrics(path, width, height, rateHz, 1 + i * 0.01),
      startedAt: STAMP,
      kind: 'timed',
      round: i,
      disturbed: false,
      disturbedReason: null,
    });
  }
  const metrics = buildMetrics(path, width, height, rateHz, 1);
  const verify: Repetition = {
    ...metrics,
    framesVerified: 45,
    framesTorn: 0,
    startedAt: STAMP,
    kind: 'verify',
    disturbed: false,
    disturbedReason: null,
  };
  const fenceUs = metrics.latencyUs.submitToFence?.p50 ?? null;
  return {
    id: `${path}-${height}p-${rateHz === null ? 'max' : `${rateHz}hz`}`,
    path,
    width,
    height,
    rateHz,
    sink: 'latch',
    ring: 'split',
    layout: '4k',
    host: 'threads',
    renderer: 'stamp',
    buffers: 3,
    heads: 1,
    results: { ...metrics, framesVerified: 45, framesTorn: 0, disturbed: false },
    repetitions: [...timed, verify],
    ratios: {
      transferGBpsToMemcpy: metrics.transferGBps === null ? null : metrics.transferGBps / 8.3,
      submitToFenceToPingPong: fenceUs === null ? null : fenceUs / 0.184,
      submitToFenceToJsPingPong: fenceUs === null ? null : fenceUs / 0.211,
    },
    workerFailures: [],
  };
}

/** Five paths at 1080p and 4K, at 60 Hz and as fast as the host answers. */
export function buildRun(overrides: Partial<RunDocument> = {}): RunDocument {
  const scenarios: Scenario[] = [];
  for (const rateHz of [60, null]) {
    for (const [width, height] of RESOLUTIONS) {
      for (const path of PATHS) scenarios.push(buildScenario({ path, width, height, rateHz }));
    }
  }
  return {
    schemaVersion: 1,
    scanoutVersion: '0.1.0',
    startedAt: STAMP,
    finishedAt: '2026-02-03T10:21:49.000Z',
    command: 'npx scanout run --suite default --seed 7 --out out',
    suite: 'default',
    seed: 7,
    partial: false,
    partialReason: null,
    environment: {
      cpu: 'AMD EPYC 7763 64-Core Processor',
      cores: 2,
      memoryBytes: 8_215_000_000,
      kernel: 'Linux 6.18.5',
      node: 'v26.10.0',
      v8: '14.4.258.16-node.12',
      platform: 'linux',
      arch: 'x64',
      copier: 'wasm-memory-copy',
      compiler: 'cc 12.2.0',
      loadAverage: [0.42, 0.31, 0.12],
      stealPercent: 0.3,
      governor: null,
    },
    limits: {
      memcpyGBps: 8.3,
      jsCopyGBps: 8.2,
      jsCopyToMemcpyRatio: { median: 0.988, low: 0.961, high: 1.012, pairs: 32, confidence: 0.95 },
      pingPongNs: 184,
      jsPingPongNs: 211,
      wakeUpUs: { median: 52, p99: 118 },
      copyKernels: [
        { name: 'wasm-memory-copy', gigabytesPerSecond: 8.2 },
        { name: 'typed-array-set', gigabytesPerSecond: 6 },
      ],
      unavailable: {},
    },
    scenarios,
    skipped: [],
    checks: [
      { name: 'no torn frame', status: 'pass', detail: '0 of 900 verified frames' },
      { name: 'zero-copy paths copy nothing', status: 'pass', detail: '0 bytes in 8 scenarios' },
      { name: 'udmabuf host service is flat, 4K over 1080p', status: 'pass', detail: '1.01 [0.97, 1.06], 16 pairs' },
    ],
    ...overrides,
  };
}

/** One repetition of a scenario, its times stretched by `slower`. */
export function buildMetrics(path: Path, width: number, height: number, rateHz: number | null, slower: number): Metrics {
  const frameBytes = width * height * 4;
  const copies = COPIES[path];
  const blob = path !== 'copy' && path !== 'readback-copy';
  const readsBack = path === 'readback-blob' || path === 'readback-copy';
  const copyUs = (frameBytes / COPY_BYTES_PER_US) * slower;
  const hostUs = (blob ? 5.8 : copyUs + 6.4) * slower;
  const guestUs = ((readsBack ? copyUs : 0) + 9.1) * slower;
  const fps = rateHz ?? 1e6 / (hostUs + guestUs + 4);
  const frames = rateHz === null ? Math.max(60, Math.round(fps / 2)) : 120;
  const toPresent = (rateHz === null ? 3 : 8200) + hostUs;
  const answer = toPresent + (rateHz === null ? 4 : 2060);
  return {
    fps,
    framesPresented: frames,
    framesVerified: 0,
    framesTorn: null,
    framesSuperseded: 0,
    framesTimedOut: 0,
    vblanksMissed: 0,
    stutters: 0,
    onePercentLowFps: frames >= 1000 ? { byP99: fps * 0.81, byWorstMean: fps * 0.66 } : null,
    copiesPerFrame: copies,
    bytesCopiedPerFrame: copies * frameBytes,
    bytesCopiedByStage: {
      readback: readsBack ? frameBytes * frames : 0,
      transfer: blob ? 0 : frameBytes * frames,
      fallback: 0,
      upload: 0,
      migrate: 0,
      cursor: 0,
    },
    hostServiceUs: service(hostUs),
    guestServiceUs: service(guestUs),
    hostCpuUsPerFrame: hostUs + 14,
    guestCpuUsPerFrame: guestUs + 21,
    spinShare: { host: 0.04, guest: 0.05 },
    sleepShare: { host: 0.9, guest: 0.88 },
    hostRunQueueWaitPercent: 0.2,
    guestRunQueueWaitPercent: 0.3,
    latencyUs: latencies(blob, toPresent, answer, { render: (readsBack ? copyUs : 0) + 4.2, transfer: blob ? 0.9 : copyUs, rateHz }),
    segments: path === 'vfio' ? 1 : Math.ceil(frameBytes / 4096),
    importUs: blob ? { count: 3, mean: 420, max: 610 } : null,
    transferGBps: copies === 0 ? null : (COPY_BYTES_PER_US / 1000) * 0.96,
    fallback: null,
    gcCount: { host: 0, guest: 0 },
    allocatedBytesPerFrame: { host: 12, guest: 31 },
    notifications: { kicks: frames, kicksSuppressed: 12, interrupts: frames, interruptsSuppressed: 9 },
    errorResponses: 0,
  };
}

function latencies(
  blob: boolean,
  toPresent: number,
  answer: number,
  own: { render: number; transfer: number; rateHz: number | null },
): Latencies {
  return {
    submitToPresent: distribution(toPresent),
    submitToFence: blob ? distribution(answer) : null,
    submitToResponse: blob ? null : distribution(own.transfer + 22),
    render: distribution(own.render),
    submit: distribution(5.2),
    pickup: distribution(own.rateHz === null ? 1.1 : 58),
    transfer: distribution(own.transfer),
    present: distribution(own.rateHz === null ? 1.2 : 8100),
    release: distribution(own.rateHz === null ? 0.4 : 2001),
    fence: blob ? distribution(own.rateHz === null ? 1.8 : 61) : null,
  };
}

function service(mean: number): ServiceTime {
  return { mean, p50: mean * 0.97, p90: mean * 1.1, p99: mean * 1.42 };
}

function distribution(p50: number): Distribution {
  return { p50, p90: p50 * 1.2, p99: p50 * 1.7, p999: p50 * 2.4, max: p50 * 3.1 };
}

/** The run with a trace in each of its scenarios: `frames` frames at the scenario's rate, one of them a hundred times as long. */
export function withTraces(run: RunDocument, frames = 120): RunDocument {
  const scenarios = run.scenarios.map((scenario): Scenario => {
    const usual = 1e6 / scenario.results.fps;
    const frameTimeUs = Array.from({ length: frames }, (_, i) => (i === 40 ? usual * 100 : usual));
    let at = 0;
    const atMs = frameTimeUs.map((us) => {
      at += us / 1000;
      return at;
    });
    return { ...scenario, frameTrace: { frames, every: 1, atMs, frameTimeUs } };
  });
  return { ...run, scenarios };
}

/** The run with latencies counted: of `frames` frames, at max rate twenty times as many, one in forty is ten times as slow. */
export function withHistograms(run: RunDocument, frames = 120): RunDocument {
  const scenarios = run.scenarios.map((scenario): Scenario => {
    const count = frames * (scenario.rateHz === null ? 20 : 1);
    const firstBin = Math.floor(Math.log10(scenario.results.latencyUs.submitToPresent?.p50 ?? 1) * 20);
    const slow = Math.floor(count / 40);
    const counts = Array.from({ length: 21 }, (_, i) => (i === 0 ? count - slow : i === 20 ? slow : 0));
    return { ...scenario, latencyHistograms: { submitToPresent: { binsPerDecade: 20, firstBin, counts } } };
  });
  return { ...run, scenarios };
}

/** The host's work of a scenario or repetition that has it. @throws Error when it has not */
export function hostWork({ hostServiceUs }: Metrics): ServiceTime {
  if (hostServiceUs === null) throw new Error("the host's work is not known");
  return hostServiceUs;
}
