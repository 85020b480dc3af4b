import { availableParallelism } from 'node:os';
import { COPIES, PATHS } from '../../core/machine/options.ts';
import { compact, counted, ratioWords } from '../../reports/format.ts';
import type { Scenario as ScenarioRecord } from '../../reports/run-document.ts';
import { matrix, parseResolution, resolutionName, type Scenario } from '../scenarios.ts';
import { type Studied, seriesAlong } from '../study.ts';
import type { Suite } from '../suites.ts';
import { DEFAULT } from '../timing.ts';
import { encodeGain, predictedFps } from './gains.ts';

const SIZES = ['720p', '1080p', '4k'] as const;
/** Fewer pairs make no interval that a prediction could be held against. */
const LEAST_PAIRS = 5;
/** What importing is held against. */
const COPYING = ['copy', 'readback-copy'] as const;

/** Files, so that scattered pages are mapped side by side and read where they lie. */
const BASE = { sink: 'encode', maxRefreshHz: null, memory: 'memfd' } as const;

/** What each path can do; and latencies where the guest has a rate of its own, as frames do not wait for each other then. */
const scenarios = (): Scenario[] => [
  ...matrix({ paths: PATHS, resolutions: SIZES.map(parseResolution), rates: [null], base: BASE }),
  ...matrix({ paths: PATHS, resolutions: [parseResolution('1080p')], rates: [60], base: BASE }),
];

/** Frames as fast as the encoder takes them, by each path; the encoder by itself before each repetition. */
export const ENCODE: Suite = {
  name: 'encode',
  summary: 'how many frames a second does an encoder get by each path, beside the encoder alone? Needs node-av and koffi (5 min)',
  scenarios,
  timing: {
    ...DEFAULT,
    repetitions: 5,
    warmupMs: 150,
    warmupFrames: 10,
    measureMs: 800,
    pacedFrames: 60,
    maxRepeated: 0.2,
    maxSeconds: 400,
  },
  study: {
    question: 'How many frames a second does an encoder get, imported and copied?',
    axis: 'size of a frame',
    measure: 'frames encoded a second',
    unit: '',
    series: (all) =>
      seriesAlong(capacities(all), {
        name: ({ path }) => path,
        at: ({ width, height }) => ({ at: width * height, label: resolutionName(width, height) }),
        value: ({ record }) => record.results.encode?.fps ?? null,
      }),
    answers: (_series, all) => answers(capacities(all), availableParallelism()),
  },
};

/** Of those that run as fast as they can. */
const capacities = (all: readonly Studied[]): Studied[] => all.filter(({ options }) => options.rateHz === null);

function answers(all: readonly Studied[], cpus: number): string[] {
  const sizes = new Map<string, ScenarioRecord[]>();
  for (const { options, record } of all) {
    const size = resolutionName(options.width, options.height);
    sizes.set(size, [...(sizes.get(size) ?? []), record]);
  }
  const said = [...sizes].flatMap(([size, records]) => [...records.flatMap((one) => sentenceOf(size, one, records, cpus))]);
  return said.length === 0 ? [] : [...said, contentOf(all)];
}

/** `vfio at 1080p: 105 frames a second, 1.2 [1.1, 1.3] times copy (its CPU times predict 1.1: inside), …`. Of zero-copy paths. */
function sentenceOf(size: string, one: ScenarioRecord, records: readonly ScenarioRecord[], cpus: number): string[] {
  const { encode } = one.results;
  if (encode === undefined || COPIES[one.path] > 0) return [];
  const parts = [`${one.path} at ${size}: ${compact(encode.fps)} frames a second`];
  for (const path of COPYING) {
    const other = records.find((record) => record.path === path);
    const gain = other === undefined ? null : encodeGain(one, other);
    if (other === undefined || gain === null) continue;
    const predicted = (predictedFps(one, cpus) ?? 0) / (predictedFps(other, cpus) ?? 1);
    const place = predicted >= gain.low && predicted <= gain.high ? 'inside' : 'outside';
    const pairs = gain.pairs ?? 0;
    const copied = other.results.encode;
    const budget = copied === undefined ? 0 : copied.transferUs / (copied.conversionCpuUs + copied.encodingCpuUs);
    parts.push(
      `${ratioWords(gain)} times ${path} (${counted(pairs, 'pair', 'pairs')}), whose copies take ${(100 * budget).toFixed(0)}% of what encoding takes (the CPU times predict ${predicted.toFixed(2)}${pairs < LEAST_PAIRS ? '' : `: ${place}`})`,
    );
  }
  if (one.encoder?.toAlone) parts.push(`${ratioWords(one.encoder.toAlone)} of the encoder alone with a still picture`);
  return [`${parts.join('; ')}.`];
}

/** What was in the frames: it decides what encoding costs. */
function contentOf(all: readonly Studied[]): string {
  const renderers = new Set(all.map(({ options }) => options.renderer));
  const words = {
    stamp: 'stamp: black but for the first pixel of each row, which changes; the least that an encoder can be given',
    paint: 'paint: every row another colour, other ones in each frame; more than any desktop changes',
  };
  return `Encoded was ${[...renderers].map((renderer) => words[renderer]).join(', and ')}.`;
}
