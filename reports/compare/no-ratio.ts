/** What has no ratio of head over base: it is said, for what is silently left out would pass unseen. */
import { compact } from '../format.ts';

/** Values of one metric of one scenario as they were measured; null: not measured, or it does not apply. */
export interface Sides {
  readonly base: readonly (number | null)[];
  readonly head: readonly (number | null)[];
}

/** `absent`: neither side has a value. `zero`: both sides are 0 throughout. `mixed`: one has what the other has not, or 0 at times. */
export type RatioFault = 'absent' | 'zero' | 'mixed';

export interface NoRatio {
  readonly scenario: string;
  readonly metric: string;
  readonly fault: RatioFault;
  /** Of `mixed`: what either side has. */
  readonly figures: string;
}

export interface WithRatio {
  readonly base: readonly number[];
  readonly head: readonly number[];
}

/** Null: every value has a ratio with every other. */
export function ratioFault({ base, head }: Sides): RatioFault | null {
  const all = [...base, ...head];
  if (all.every((value) => value === null)) return 'absent';
  if (all.every((value) => value === 0)) return 'zero';
  const both = base.length > 0 && head.length > 0;
  return both && all.every((value) => value !== null && value > 0 && value < Number.POSITIVE_INFINITY) ? null : 'mixed';
}

export function hasRatio(sides: Sides): sides is WithRatio {
  return ratioFault(sides) === null;
}

/** `base 0, head 0.5 to 1`, `base nothing, head 0 to 12, 3 times nothing`. */
export function sideFigures({ base, head }: Sides): string {
  return `base ${figuresOf(base)}, head ${figuresOf(head)}`;
}

function figuresOf(values: readonly (number | null)[]): string {
  const measured = values.filter((value) => value !== null);
  if (measured.length === 0) return 'nothing';
  const [least, most] = [compact(Math.min(...measured)), compact(Math.max(...measured))];
  const missing = values.length - measured.length;
  return `${least}${least === most ? '' : ` to ${most}`}${missing > 0 ? `, ${missing} times nothing` : ''}`;
}

/** One line for each kind of fault there is. */
export function noRatioNotes(without: readonly NoRatio[]): string[] {
  const named = (fault: RatioFault): string =>
    without
      .filter((one) => one.fault === fault)
      .map(({ scenario, metric, figures }) => `${metric} of ${scenario}${figures === '' ? '' : ` (${figures})`}`)
      .join('; ');
  const notes: string[] = [];
  const [absent, zero, mixed] = [named('absent'), named('zero'), named('mixed')];
  if (mixed !== '') notes.push(`NOT COMPARED, for 0 and nothing have no ratio, so inconclusive: ${mixed}`);
  if (zero !== '') notes.push(`0 on both sides: ${zero}`);
  if (absent !== '') notes.push(`measured on neither side: ${absent}`);
  return notes;
}
