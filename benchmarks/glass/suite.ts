import { COPIES, type Path } from '../../core/machine/options.ts';
import type { PairPlan } from '../peers/pairs.ts';
import { parseResolution, type Scenario, scenario } from '../scenarios.ts';
import type { Suite } from '../suites.ts';
import { DEFAULT } from '../timing.ts';

const WATCHED: readonly Path[] = ['vfio', 'udmabuf', 'copy', 'readback-copy'];
/** One that a software encoder and decoder sustain on two CPUs; and a display's, at which the encoder takes as many as it can. */
const RATES = [30, 60] as const;

/** Files, so that scattered pages are mapped side by side and read where they lie. */
const of = (path: Path, rateHz: number): Scenario =>
  scenario({ ...parseResolution('1080p'), path, rateHz, sink: 'encode', maxRefreshHz: null, memory: 'memfd' }, 'glass');

/** Each zero-copy path over each that copies. */
function pairs(): PairPlan[] {
  return RATES.flatMap((rate) =>
    WATCHED.filter((path) => COPIES[path] === 0).flatMap((path) =>
      WATCHED.filter((other) => COPIES[other] > 0).map((other) => ({
        name: `${path} over ${other}, 1080p at ${rate} Hz`,
        measure: 'glass to glass, p50',
        of: of(path, rate).id,
        to: of(other, rate).id,
        goal: null,
        figure: ({ glass }) => glass?.p50Us ?? 0,
      })),
    ),
  );
}

/** The stream of each path, shown by Chromium on the same machine; the encoder by itself before each repetition. */
export const GLASS: Suite = {
  name: 'glass',
  summary: 'how long until a browser shows a frame, by each path? Needs node-av, ws, koffi and Chromium (about 6 min)',
  scenarios: () => RATES.flatMap((rate) => WATCHED.map((path) => of(path, rate))),
  timing: { ...DEFAULT, repetitions: 5, warmupMs: 150, measureMs: 800, pacedFrames: 120, maxRepeated: 0.2, maxSeconds: 540 },
  pairs,
};
