import type { Check } from '../../reports/run-document.ts';
import type { MeasuredRepetition } from '../metrics.ts';
import type { Scenario } from '../scenarios.ts';
import { GlassFigures } from './figures.ts';

/** Of a picture at 1080p, where every frame is encoded and sent, µs. */
const MOST_US = 100_000;
/** Of the guest's frames that have to be shown for its rate to count as sustained. */
const SUSTAINED = 0.95;

interface Watched {
  readonly scenario: Scenario;
  readonly timed: readonly MeasuredRepetition[];
}

/** What a scenario that was watched must show to be believed; none of one that was not. */
export function glassChecks({ scenario: { id, options }, timed }: Watched): Check[] {
  const all = timed.filter(({ glass }) => glass !== undefined);
  if (all.length === 0) return [];
  const { backwards, shown } = pooled(all);
  const checks: Check[] = [
    {
      name: `${id} is shown in the order of its frames`,
      status: backwards === 0 ? 'pass' : 'fail',
      detail: `${backwards} pictures went back; ${shown} shown in the measured parts`,
    },
  ];
  const calm = all.filter(({ repetition }) => !repetition.disturbed);
  const { p50Us, fps } = pooled(calm.length > 0 ? calm : all);
  // At a rate that is not sustained frames wait for the encoder or the browser: that is no figure of the way they take.
  if (options.height !== 1080 || options.rateHz === null || fps < SUSTAINED * options.rateHz * options.heads) return checks;
  checks.push({
    name: `${id} is seen within ${MOST_US / 1000} ms, median`,
    status: p50Us <= MOST_US ? 'pass' : calm.length === 0 ? 'inconclusive' : 'fail',
    detail: `${(p50Us / 1000).toFixed(1)} ms at ${fps.toFixed(1)} frames shown a second`,
  });
  return checks;
}

export function pooled(all: readonly MeasuredRepetition[]): ReturnType<GlassFigures['metrics']> {
  const figures = new GlassFigures();
  for (const { glass } of all) if (glass !== undefined) figures.add(glass);
  return figures.metrics();
}
