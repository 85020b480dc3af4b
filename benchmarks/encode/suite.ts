import { availableParallelism } from 'node:os';
import { PATHS } from '../../core/machine/options.ts';
import { contentWords } from '../content.ts';
import { matrix, parseResolution, resolutionName, type Scenario } from '../scenarios.ts';
import { type Studied, seriesAlong } from '../study.ts';
import type { Suite } from '../suites.ts';
import { DEFAULT } from '../timing.ts';
import { conclusions, pathGains } from './answers.ts';

const SIZES = ['720p', '1080p', '4k'] as const;

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
    // Pairs enough for an interval that is narrower than its extremes.
    repetitions: 9,
    warmupMs: 150,
    warmupFrames: 10,
    measureMs: 500,
    pacedFrames: 60,
    maxRepeated: 0.2,
    maxSeconds: 480,
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
    gains: (all) => pathGains(capacities(all), availableParallelism()),
    answers: (_series, all) => answers(capacities(all), availableParallelism()),
  },
};

/** Of those that run as fast as they can. */
const capacities = (all: readonly Studied[]): Studied[] => all.filter(({ options }) => options.rateHz === null);

function answers(all: readonly Studied[], cpus: number): string[] {
  const said = conclusions(all, pathGains(all, cpus), cpus);
  return said.length === 0 ? [] : [...said, contentOf(all)];
}

/** What was in the frames: it decides what encoding costs. */
function contentOf(all: readonly Studied[]): string {
  const words = {
    stamp: 'stamp: black but for the first pixel of each row, which changes; the least that an encoder can be given',
    paint: 'paint: every row another colour, other ones in each frame; more than any desktop changes',
  };
  const shown = all.map(({ options: { renderer, content } }) =>
    renderer === 'content'
      ? `${content === undefined ? renderer : contentWords(content)}, decoded meanwhile on the same CPUs`
      : words[renderer],
  );
  return `Encoded was ${[...new Set(shown)].join(', and ')}.`;
}
