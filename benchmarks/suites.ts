import { PATHS } from '../core/machine/options.ts';
import { ENCODE } from './encode/suite.ts';
import { GLASS } from './glass/suite.ts';
import { useInstead } from './nearest.ts';
import type { PairPlan } from './peers/pairs.ts';
import { PEERS } from './peers/suite.ts';
import { REAL_GUEST_TIMING, realGuests } from './realguest/suite.ts';
import { matrix, parseResolution, type Scenario, ScenarioError } from './scenarios.ts';
import type { StudyPlan } from './study.ts';
import { STUDIES } from './suites-studies.ts';
import { DEFAULT, QUICK, type Timing } from './timing.ts';

export type { Timing } from './timing.ts';

export interface Suite {
  readonly name: string;
  /** The question it answers, one line. */
  readonly summary: string;
  readonly scenarios: () => Scenario[];
  readonly timing: Timing;
  /** What is read off the scenarios to answer a single question; absent: the tables are the answer. */
  readonly study?: StudyPlan;
  /** Scenarios that are compared with one another; absent: none. */
  readonly pairs?: () => PairPlan[];
}

const hd = parseResolution('1080p');
const uhd = parseResolution('4k');

export const SUITES: readonly Suite[] = [
  {
    name: 'quick',
    summary: 'five paths at 1080p and 4K as fast as the host answers (about 12 s)',
    scenarios: () => matrix({ paths: PATHS, resolutions: [hd, uhd], rates: [null] }),
    timing: QUICK,
  },
  {
    name: 'default',
    summary: 'five paths at 1080p and 4K, paced at 60 Hz and as fast as the host answers (about 65 s)',
    scenarios: () => matrix({ paths: PATHS, resolutions: [hd, uhd], rates: [60, null] }),
    timing: DEFAULT,
  },
  {
    name: 'paced',
    summary: '600 frames at 4K60 a path: does any path miss a vblank? (about 90 s)',
    scenarios: () => matrix({ paths: PATHS, resolutions: [uhd], rates: [60] }),
    timing: { ...DEFAULT, repetitions: 5, pacedFrames: 120, verifyFrames: 60, maxRepeated: 0.2, maxSeconds: 150, undisturbedFrames: 600 },
  },
  {
    name: 'flatness',
    summary: 'does importing cost the same at 4K as at 1080p? 16 interleaved pairs (about 20 s)',
    scenarios: () => matrix({ paths: ['vfio', 'udmabuf'], resolutions: [hd, uhd], rates: [null] }),
    timing: { ...QUICK, repetitions: 16, maxRepeated: 0.25, maxSeconds: 40, limitsSeconds: 4 },
  },
  {
    name: 'import',
    summary: 'what importing a 4K buffer costs, from one segment to 8100 scattered pages (about 15 s)',
    scenarios: () =>
      matrix({
        paths: ['vfio', 'udmabuf'],
        resolutions: [uhd],
        rates: [null],
        layouts: ['contiguous', '2m', '64k', '4k'],
        base: { listLimit: 16384 },
      }),
    timing: { ...QUICK, repetitions: 3, maxSeconds: 30 },
  },
  {
    name: 'full',
    summary: 'five paths at 1080p, 1440p, 4K and 8K, at 60 Hz and max, three layouts at 4K (about 13 min)',
    scenarios: () => [
      ...matrix({
        paths: PATHS,
        resolutions: [hd, parseResolution('1440p'), uhd, parseResolution('8k')],
        rates: [60, null],
        base: { sizeLimitMb: 256, listLimit: 8192 },
      }),
      ...matrix({ paths: PATHS, resolutions: [uhd], rates: [null], layouts: ['contiguous', '2m', '4k'], base: { listLimit: 16384 } }),
    ],
    timing: { ...DEFAULT, repetitions: 5, measureMs: 800, pacedFrames: 120, maxSeconds: 900 },
  },
  {
    name: 'realguest',
    summary: 'real Linux guests as they were recorded: flips of imported and of copied buffers, 1080p and 4K (about 50 s)',
    scenarios: realGuests,
    timing: REAL_GUEST_TIMING,
  },
  PEERS,
  ...STUDIES,
  ENCODE,
  GLASS,
];

/** @throws ScenarioError naming the suites there are */
export function suiteNamed(name: string): Suite {
  const suite = SUITES.find((candidate) => candidate.name === name);
  if (suite === undefined) {
    const names = SUITES.map((one) => one.name);
    throw new ScenarioError(`unknown suite '${name}': ${useInstead(name, names)}`);
  }
  return suite;
}
