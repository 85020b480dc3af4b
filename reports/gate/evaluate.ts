import { centreInterval, expandedInterval, RESAMPLES, shiftInterval } from '../compare/intervals.ts';
import { logRatio } from '../compare/pairs.ts';
import { mannWhitney, signedRank } from '../compare/rank-tests.ts';
import { resampledCentres, resampledShifts } from '../compare/resampling.ts';
import { shift } from '../compare/samples.ts';
import { holm, VERDICT_CONFIDENCE } from '../compare/verdict.ts';
import { type RandomSource, seededRandom } from '../random.ts';
import { hodgesLehmann } from '../statistics.ts';
import type { Threshold } from './config.ts';

/** Figures of one metric of one scenario. Paired: values of both sides at one place belong together. An absolute threshold needs no base. */
export interface Figures {
  readonly paired: boolean;
  readonly base: readonly number[];
  readonly head: readonly number[];
}

export interface Outcome {
  readonly scenario: string;
  readonly threshold: Threshold;
  readonly state: 'pass' | 'fail' | 'inconclusive';
  /** A ratio of head over base, or head's value; with its 99% interval, infinite of one pair. */
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly samples: number;
  readonly paired: boolean;
}

/** What is counted, not timed: one value beyond the bound is one too many, and no interval is asked. */
const COUNTED: ReadonlySet<string> = new Set([
  ...['framesTorn', 'framesTimedOut', 'framesSuperseded', 'vblanksMissed', 'errorResponses', 'segments'],
  ...['copiesPerFrame', 'bytesCopiedPerFrame'],
  ...['encode.framesSuperseded', 'encode.releasedLate', 'encode.bytesCopied.gather', 'glass.lost', 'glass.backwards'],
]);

/** A threshold on a scenario, with the figures it is about. */
export interface Question {
  readonly scenario: string;
  readonly threshold: Threshold;
  readonly figures: Figures;
}

/**
 * Whether thresholds hold: by the bounds of 99% intervals, as a whole beyond the threshold (fail), as a whole within (pass), or neither.
 * Of a relative one a rank test has to agree at `alpha`; that it fails is corrected over all thresholds (Holm). Of absolute ones the
 * intervals are that much wider: all of them hold at once with 1 - alpha.
 * @throws RangeError no figures, or a ratio of values that have none
 */
export function evaluate(questions: readonly Question[], alpha: number): Outcome[] {
  const corrected = holm(questions.map((question) => pOfBound(question, 'beyond')));
  const bounded = questions.filter(({ threshold }) => isTimed(threshold)).length;
  return questions.map((question, i) => {
    const { scenario, threshold, figures } = question;
    // Random numbers of its own: what else is asked changes no interval.
    const random = seededRandom(1);
    const measured = threshold.relative
      ? relativeInterval(figures, random)
      : absoluteInterval(threshold, figures.head, 1 - alpha / bounded, random);
    const { low, high } = measured;
    const beyond = !holds(threshold, low) && !holds(threshold, high);
    const within = holds(threshold, low) && holds(threshold, high) && pOfBound(question, 'within') <= alpha;
    const proven = !threshold.relative || corrected[i] <= alpha;
    const state = within ? 'pass' : beyond && proven ? 'fail' : 'inconclusive';
    const samples = figures.paired || !threshold.relative ? figures.head.length : Math.min(figures.base.length, figures.head.length);
    return { scenario, threshold, state, ...measured, samples, paired: figures.paired };
  });
}

/** Whether it is bounded by itself, and by an interval. */
export const isTimed = ({ relative, metric }: Threshold): boolean => !relative && !COUNTED.has(metric);

export function holds({ operator, bound }: Threshold, value: number): boolean {
  switch (operator) {
    case '<':
      return value < bound;
    case '<=':
      return value <= bound;
    case '>':
      return value > bound;
    case '>=':
      return value >= bound;
  }
}

interface Interval {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

function relativeInterval({ paired, base, head }: Figures, random: RandomSource): Interval {
  if (paired) {
    const logs = base.map((value, i) => logRatio(value, head[i]));
    const centre = hodgesLehmann(logs);
    const { low, high } = centreInterval(logs, centre, resampledCentres(logs, RESAMPLES, random), VERDICT_CONFIDENCE);
    return { value: Math.exp(centre), low: Math.exp(low), high: Math.exp(high) };
  }
  const [a, b] = [base.map(Math.log), head.map(Math.log)];
  const centre = shift(a, b);
  const { low, high } = shiftInterval(a, b, centre, resampledShifts(a, b, RESAMPLES, random), VERDICT_CONFIDENCE);
  return { value: Math.exp(centre), low: Math.exp(low), high: Math.exp(high) };
}

/** Of a few values it is their range: they are let off by no bound that all of them break. */
function absoluteInterval(threshold: Threshold, head: readonly number[], confidence: number, random: RandomSource): Interval {
  if (!isTimed(threshold)) {
    const worst = head.find((value) => !holds(threshold, value)) ?? head[0];
    return { value: worst, low: worst, high: worst };
  }
  const { low, high } = expandedInterval(resampledCentres(head, RESAMPLES, random), head.length, confidence);
  return { value: hodgesLehmann(head), low, high };
}

/** One-sided p against a ratio that lies beyond a relative bound, or within; 0 for an absolute one, which is not tested. */
function pOfBound({ threshold, figures }: Question, where: 'beyond' | 'within'): number {
  if (!threshold.relative) return 0;
  const side = threshold.operator.startsWith('<') === (where === 'beyond') ? 'greater' : 'less';
  const edge = Math.log(threshold.bound);
  const { paired, base, head } = figures;
  if (paired) {
    return signedRank(
      base.map((value, i) => logRatio(value, head[i])),
      side,
      edge,
    );
  }
  return mannWhitney(
    head.map((value) => Math.log(value) - edge),
    base.map(Math.log),
    side,
  );
}
