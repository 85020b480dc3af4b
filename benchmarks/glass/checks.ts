import type { Check } from '../../reports/run-document.ts';
import type { MeasuredRepetition } from '../metrics.ts';
import type { Scenario } from '../scenarios.ts';
import { GlassFigures } from './figures.ts';

/** Of a frame at 1080p, at a rate that the encoder sustains, µs. */
const MOST_US = 100_000;
/** Of the guest's frames that have to be encoded, or shown, for its rate to count as sustained. */
const SUSTAINED = 0.95;

interface Watched {
  readonly scenario: Scenario;
  readonly timed: readonly MeasuredRepetition[];
}

/** What a scenario that was watched must show to be believed; none of one that was not. */
export function glassChecks({ scenario: { id, options }, timed }: Watched): Check[] {
  const all = timed.filter(({ glass }) => glass !== undefined);
  if (all.length === 0) return [];
  const { backwards, shown } = pooled(all).metrics();
  const checks: Check[] = [
    {
      name: `${id} is shown in the order of its frames`,
      status: backwards === 0 ? 'pass' : 'fail',
      detail: `${backwards} pictures went back; ${shown} shown in the measured parts`,
    },
  ];
  const calm = all.filter(({ repetition }) => !repetition.disturbed);
  const used = calm.length > 0 ? calm : all;
  const figures = pooled(used);
  const { p50Us, fps } = figures.metrics();
  const least = SUSTAINED * (options.rateHz ?? 0) * options.heads;
  // At a rate that the encoder does not sustain frames wait for it: that is no figure of the way they take.
  if (options.height !== 1080 || options.rateHz === null || encodedFps(used) < least) return checks;
  checks.push({
    name: `${id} is seen within ${MOST_US / 1000} ms, median`,
    // Of all the guest's frames. What waits for a browser that has too little CPU is no figure of the stream.
    status: figures.mostWithin(MOST_US) ? 'pass' : calm.length === 0 || fps < least ? 'inconclusive' : 'fail',
    detail: `${(p50Us / 1000).toFixed(1)} ms of those shown; the browser showed ${fps.toFixed(1)} frames a second`,
  });
  return checks;
}

/** Packets of the measured parts a second. */
function encodedFps(all: readonly MeasuredRepetition[]): number {
  let [packets, wallNs] = [0, 0];
  for (const { encode } of all) {
    packets += encode?.packets ?? 0;
    wallNs += encode?.wallNs ?? 0;
  }
  return wallNs === 0 ? 0 : (packets / wallNs) * 1e9;
}

export function pooled(all: readonly MeasuredRepetition[]): GlassFigures {
  const figures = new GlassFigures();
  for (const { glass } of all) if (glass !== undefined) figures.add(glass);
  return figures;
}
