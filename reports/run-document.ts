/**
 * The run document (run.json): everything a run found, in one file that outlives the program. Its published
 * schema is schema/run-1.schema.json. Fields may be added under the same `schemaVersion`; none is renamed or
 * changes its unit. `null` always means "not measured" or "does not apply", never zero.
 */

import type { EncodeMetrics, ScenarioEncoder } from './encode-document.ts';
import type { GlassMetrics } from './glass-document.ts';
import type { Study } from './study-document.ts';

export type { EncodeMetrics, ScenarioEncoder } from './encode-document.ts';
export type { PathGain, Study, StudyPoint, StudySeries } from './study-document.ts';

export const SCHEMA_VERSION = 1;

/** In the order in which every rendering shows them: fewest copies first, importing before copying. */
export const PATHS = ['vfio', 'udmabuf', 'readback-blob', 'copy', 'readback-copy'] as const;
export type Path = (typeof PATHS)[number];

/** What importing replaces: the path that headline savings are counted against. */
export const REPLACED_PATH: Path = 'readback-blob';

/** `encode`: a video encoder. `socket`: each frame whole, through a GPU socket. `memory`: another process looks at it where it lies. */
export type SinkName = 'latch' | 'verify' | 'display' | 'encode' | 'socket' | 'memory';
export type RingName = 'split' | 'packed';
/** `recorded`: as the pages of a recorded guest lay. */
export type LayoutName = 'contiguous' | '2m' | '64k' | '4k' | 'recorded';
/** `card`: a test card with the frame's number, for people and browsers. `content`: a file's pictures, which the settings name. */
export type RendererName = 'stamp' | 'paint' | 'card' | 'content';

export interface RunDocument {
  schemaVersion: typeof SCHEMA_VERSION;
  scanoutVersion: string;
  /** ISO 8601, UTC. */
  startedAt: string;
  finishedAt: string;
  /** A command line that repeats the run, ready to paste. */
  command: string;
  suite: string;
  /** What the random layouts and interleaving were drawn from. */
  seed: number;
  /** True: the run ended early; `scenarios` has what was measured until then. */
  partial: boolean;
  partialReason: string | null;
  environment: Environment;
  /** Null: not run from a checkout of git's; absent: written before this was recorded. */
  revision?: Revision | null;
  limits: Limits;
  scenarios: Scenario[];
  /** Scenarios that were asked for and have no results. */
  skipped: SkippedScenario[];
  checks: Check[];
  /** Two scenarios measured side by side, and the ratio of their figures. Absent: the suite has no pairs. */
  pairs?: PairedRatio[];
  /** Of a suite that asks one question: its answer. Absent: the suite asks none, or the run was not of a suite. */
  study?: Study;
}

/** Two scenarios whose repetitions were interleaved, compared repetition by repetition. */
export interface PairedRatio {
  /** What is compared, as `TRANSFER at 1080p`. */
  name: string;
  /** Of the figures, as `frames a second`. */
  measure: string;
  /** Ids of the scenarios: the first one's figures over the second one's. */
  of: string;
  to: string;
  /** Median over the pairs, with its interval; null: fewer than two pairs. */
  ratio: RatioInterval | null;
  /** What the ratio is to show; null: nothing. */
  goal: { atLeast: number } | { atMost: number } | null;
}

/** What was checked out. */
export interface Revision {
  /** Commit id, hexadecimal. */
  commit: string;
  /** Tracked files had changes that were not committed. */
  dirty: boolean;
}

export interface Environment {
  /** Model name of the first CPU. */
  cpu: string;
  /** CPUs this process may use. */
  cores: number;
  memoryBytes: number;
  kernel: string;
  node: string;
  v8: string;
  /** As `process.platform`. */
  platform: string;
  /** As `process.arch`. */
  arch: string;
  /** The copy kernel that was picked. */
  copier: string;
  /** Name and version of the C compiler; null: none found. */
  compiler: string | null;
  /** Over 1, 5 and 15 minutes, at the start. */
  loadAverage: [number, number, number];
  /** CPU time the hypervisor took away during the run, percent; null: unknown. */
  stealPercent: number | null;
  /** CPU frequency governor; null: unknown. */
  governor: string | null;
}

/** What the machine itself can do, measured in the same run. */
export interface Limits {
  /** C memcpy on the same buffers, 10^9 bytes copied a second. */
  memcpyGBps: number | null;
  /** The best copy in JavaScript, 10^9 bytes copied a second. */
  jsCopyGBps: number | null;
  /** Speed of the best JavaScript copy over memcpy's, of interleaved pairs (1: as fast). */
  jsCopyToMemcpyRatio: RatioInterval | null;
  /** Round trip of a cell bounced between two spinning threads in C. */
  pingPongNs: number | null;
  /** The same between two workers with Atomics. */
  jsPingPongNs: number | null;
  /** From Atomics.notify to the sleeper's first instruction. */
  wakeUpUs: { median: number; p99: number } | null;
  /** Every copy kernel that was tried. */
  copyKernels: { name: string; gigabytesPerSecond: number }[];
  /** Why a limit is null, by its name. */
  unavailable: Record<string, string>;
}

export interface RatioInterval {
  median: number;
  low: number;
  high: number;
  /** Number of interleaved pairs it comes from. */
  pairs?: number;
  /** Of the interval, in (0, 1). */
  confidence?: number;
}

export interface Scenario {
  /** Unique in the document, e.g. `udmabuf-4k-60hz`. */
  id: string;
  path: Path;
  width: number;
  height: number;
  /** Vblanks a second; null: as fast as the host answers, and `fps` counts updates a second. */
  rateHz: number | null;
  /** Of the timed repetitions. */
  sink: SinkName;
  ring: RingName;
  layout: LayoutName;
  /** What the host is: `threads` of this program, a `process` of it over vhost-user, or `qemu`: QEMU's vhost-user-gpu. */
  host: string;
  renderer: RendererName;
  /** Buffers the compositor swaps between. */
  buffers: number;
  heads: number;
  /** Machine settings that are not as usual, by name, e.g. `{"fences": false}`; absent: all are. */
  settings?: Record<string, SettingValue>;
  results: Results;
  repetitions: Repetition[];
  /** Results over the machine's limits. */
  ratios: LimitRatios;
  /** With the sink `encode`: its encoder. */
  encoder?: ScenarioEncoder;
  /** Workers that ended without being asked to, one line each. */
  workerFailures: string[];
  /** Absent: no fault was injected, and no counter of faults was other than 0. */
  faults?: ScenarioFaults;
  /** Of one of the repetitions that `results` are drawn from; absent: none was kept. */
  frameTrace?: FrameTrace;
  /** Of the frames that `results` are drawn from; absent: written before this was recorded, or no frame was presented. */
  latencyHistograms?: { submitToPresent: LogHistogram };
}

/** Counts of times in bins that are equally wide on a logarithmic scale. */
export interface LogHistogram {
  binsPerDecade: number;
  /** Place of the first bin: bin k holds what took from 10^(k / binsPerDecade) µs to less than 10^((k + 1) / binsPerDecade) µs. */
  firstBin: number;
  /** Of `firstBin` and each bin after it; the first and the last are not 0. */
  counts: number[];
}

/** Frame after frame of one head. Of each run of `every` frames the one with the longest time is kept. */
export interface FrameTrace {
  /** Frames that it was drawn from. */
  frames: number;
  every: number;
  /** When each was presented, ms since the first one measured; ascending. */
  atMs: number[];
  /** From the frame presented before it, µs. */
  frameTimeUs: number[];
}

/** Faults of a scenario, over all its repetitions. With any injected or unexplained there is no headline. */
export interface ScenarioFaults {
  /** Injected on purpose, as NAME@FRAME. */
  injected: string[];
  /** How often they happened. */
  times: number;
  /** Counters of faults that are not 0, by name. */
  counters: Record<string, number>;
  /** Names of those that nothing injected explains. */
  unexplained: string[];
}

export type SettingValue = string | number | boolean;

/** The reason of a scenario that a run did not come to before it ended. */
export const NOT_REACHED = 'the run ended before it was measured';

export interface SkippedScenario {
  id: string;
  reason: string;
}

export interface Check {
  name: string;
  status: 'pass' | 'fail' | 'inconclusive';
  /** The figures it was decided by, in one line. */
  detail: string;
}

/** Microseconds a frame. */
export interface ServiceTime {
  mean: number;
  p50: number;
  p90: number;
  p99: number;
}

/** Microseconds. */
export interface Distribution {
  p50: number;
  p90: number;
  p99: number;
  p999: number;
  max: number;
}

/** Microseconds from one point of a frame's way to another. Null: the frame's way does not have it. */
export interface Latencies {
  submitToPresent: Distribution | null;
  /** With RESOURCE_BLOB: to the flush fence seen by the guest. */
  submitToFence: Distribution | null;
  /** Without RESOURCE_BLOB: to the TRANSFER's response seen by the guest. */
  submitToResponse: Distribution | null;
  /** Rendering. */
  render: Distribution | null;
  /** Rendered (at a fixed rate: due) until the commands are on the ring, with a readback where the path has one. */
  submit: Distribution | null;
  /** On the ring until the host takes the first command. */
  pickup: Distribution | null;
  /** The host's import or transfer. */
  transfer: Distribution | null;
  /** Handed to the sink until it begins to show it. */
  present: Distribution | null;
  /** Shown until the sink's last read. */
  release: Distribution | null;
  /** Last read until the guest sees the fence. */
  fence: Distribution | null;
}

export const LATENCY_STAGES = ['render', 'submit', 'pickup', 'transfer', 'present', 'release', 'fence'] as const;
export type LatencyStage = (typeof LATENCY_STAGES)[number];

/** Bytes copied in the counted frames, by where (a total, not a frame). */
export interface StageBytes {
  readback: number;
  transfer: number;
  fallback: number;
  upload: number;
  migrate: number;
  cursor: number;
}

export interface PerThread {
  host: number | null;
  guest: number | null;
}

/** 1000 ms / p99 of the frame time, and the mean of the worst 1%. Null below 1,000 frames. */
export interface LowFps {
  byP99: number;
  byWorstMean: number;
}

export interface Metrics {
  /** Frames presented over wall time. With `rateHz` null these are updates a second, not displayed frames. */
  fps: number;
  framesPresented: number;
  /** Looked at by a `verify` sink. */
  framesVerified: number;
  /** Null: none verified. */
  framesTorn: number | null;
  /** Replaced by a later frame before the sink showed them. */
  framesSuperseded: number;
  /** The guest's bounded wait for the fence ran out. */
  framesTimedOut: number;
  /** Vblanks without a new frame; 0 without vblanks (`rateHz` null). */
  vblanksMissed: number;
  /** Frames longer than twice the median of the 19 around them; null: too few. */
  stutters: number | null;
  onePercentLowFps: LowFps | null;
  /** Copies of whole frames: readback, transfer, fallback and upload. */
  copiesPerFrame: number;
  bytesCopiedPerFrame: number;
  bytesCopiedByStage: StageBytes;
  /** The host thread's work for a frame, waiting excluded; null: the host is another process, which does not say. */
  hostServiceUs: ServiceTime | null;
  guestServiceUs: ServiceTime;
  /** Thread CPU time a frame, spinning included. */
  hostCpuUsPerFrame: number;
  guestCpuUsPerFrame: number;
  /** Share of the wall time in [0, 1] spent spinning on the doorbell. */
  spinShare: PerThread;
  /** ... asleep. */
  sleepShare: PerThread;
  /** Share of the thread's time spent runnable but not running, percent. */
  hostRunQueueWaitPercent: number | null;
  guestRunQueueWaitPercent: number | null;
  latencyUs: Latencies;
  /** Memory entries of one buffer. */
  segments: number;
  /** Work of importing one buffer at the host; null: the path imports nothing. */
  importUs: { count: number; mean: number; max: number } | null;
  /** Speed of the path's copies; null: it has none. */
  transferGBps: number | null;
  /** Why the host copied instead of importing; null: it did not. */
  fallback: { reason: string } | null;
  /** Garbage collections while frames were counted. */
  gcCount: PerThread;
  /** Bytes of JavaScript heap. */
  allocatedBytesPerFrame: PerThread;
  /** Doorbell rings that were sent, and those EVENT_IDX made unnecessary; totals. */
  notifications: { kicks: number; kicksSuppressed: number; interrupts: number; interruptsSuppressed: number } | null;
  /** Commands the host answered with an error. */
  errorResponses: number;
  /** Absent: the sink encodes nothing. */
  encode?: EncodeMetrics;
  /** Absent: no browser showed the stream. */
  glass?: GlassMetrics;
}

/** Drawn from the undisturbed timed repetitions together; `framesVerified` and `framesTorn` from the verify repetitions. */
export interface Results extends Metrics {
  /** True: no undisturbed repetition was had within the bound, so the figures come from disturbed ones. */
  disturbed: boolean;
}

export interface Repetition extends Metrics {
  /** ISO 8601, UTC. */
  startedAt: string;
  /** `verify` repetitions count torn frames and are left out of the times. */
  kind: 'timed' | 'verify';
  /** Of timed ones: those of one round are neighbours. Absent: it was added later, in the place of a disturbed one. */
  round?: number;
  /** The machine got in the way: its figures are kept here and not used. */
  disturbed: boolean;
  disturbedReason: string | null;
}

export interface LimitRatios {
  /** The path's copy speed over memcpy's. */
  transferGBpsToMemcpy: number | null;
  /** Median submit to fence over the C ping-pong. */
  submitToFenceToPingPong: number | null;
  /** Median submit to fence over the JavaScript ping-pong. */
  submitToFenceToJsPingPong: number | null;
}
