import { COPIES } from '../../core/machine/options.ts';
import { frameBytes } from '../../core/machine/plan.ts';
import type { Check } from '../../reports/run-document.ts';
import { ratioOfPairs } from '../../reports/statistics.ts';
import type { MeasuredRepetition } from '../metrics.ts';
import type { Scenario } from '../scenarios.ts';

/** What a zero-copy path has to reach of the encoder alone, at the size and content that this is held for. */
const ALONE_RATIO = 0.9;
const ALONE_PAIRS = 3;

interface Encoded {
  readonly scenario: Scenario;
  readonly timed: readonly MeasuredRepetition[];
}

/** What a scenario with an encoder must show to be believed; none of one without. */
export function encodeChecks({ scenario, timed }: Encoded): Check[] {
  const all = timed.flatMap(({ encode }) => encode ?? []);
  if (all.length === 0) return [];
  const { id, options } = scenario;
  const sum = (of: (figures: (typeof all)[number]) => number): number => all.reduce((total, figures) => total + of(figures), 0);
  const packets = sum(({ encoderCopies }) => encoderCopies);
  const late = sum(({ releasedLate }) => releasedLate);
  const checks: Check[] = [
    {
      name: `${id} gives every buffer back before its packet is out`,
      status: packets === 0 ? 'inconclusive' : late === 0 ? 'pass' : 'fail',
      detail: `${late} of ${packets} later`,
    },
    ...seenBefore(id, timed),
  ];
  if (COPIES[options.path] === 0) {
    const gathered = sum(({ gatheredBytes }) => gatheredBytes);
    const expected = (packets * frameBytes({ width: options.width & ~1, height: options.height & ~1 }) * 3) / 8;
    const own = sum(({ encoderBytes }) => encoderBytes);
    checks.push({
      name: `${id} copies nothing before the encoder's own`,
      // Pieces of memory that is no file cannot be mapped side by side.
      status: own !== expected ? 'fail' : gathered === 0 ? 'pass' : options.memory === 'memfd' ? 'fail' : 'inconclusive',
      detail: `${gathered} bytes put together of scattered pages${gathered > 0 && options.memory !== 'memfd' ? ' (--memory memfd spares that)' : ''}; the encoder took in ${own} of ${expected}`,
    });
  }
  const alone = nearAlone({ scenario, timed });
  return alone === null ? checks : [...checks, alone];
}

/** What a buffer's release is for: that the guest draws on while the frame is being encoded. None where the guest waits for no fence. */
function seenBefore(id: string, timed: readonly MeasuredRepetition[]): Check[] {
  const calm = timed.filter(({ repetition }) => !repetition.disturbed);
  const all = (calm.length > 0 ? calm : timed).flatMap(({ encode }) => encode ?? []);
  const fenced = all.reduce((sum, one) => sum + one.fenced, 0);
  if (fenced === 0) return [];
  const before = fenced - all.reduce((sum, one) => sum + one.seenLate, 0);
  return [
    {
      name: `${id} lets the guest see most buffers back before their packets are out`,
      status: 2 * before > fenced ? 'pass' : calm.length === 0 ? 'inconclusive' : 'fail',
      detail: `${before} of ${fenced}`,
    },
  ];
}

/** Encoding what was imported against encoding a still picture, at 1080p, where both do what they can. */
function nearAlone({ scenario: { id, options }, timed }: Encoded): Check | null {
  const { path, height, rateHz, maxRefreshHz, renderer, memory } = options;
  if (COPIES[path] > 0 || height !== 1080 || rateHz !== null || maxRefreshHz !== null || renderer !== 'stamp' || memory !== 'memfd')
    return null;
  const calm = timed.filter(({ repetition }) => !repetition.disturbed);
  const pairs = (calm.length > 0 ? calm : timed).flatMap(({ encode }) => {
    const { fps, aloneFps } = encode?.metrics() ?? { fps: 0, aloneFps: null };
    return aloneFps === null || fps <= 0 ? [] : [[fps, aloneFps] as const];
  });
  if (pairs.length < ALONE_PAIRS) return null;
  const ratio = ratioOfPairs(pairs);
  return {
    name: `${id} encodes at least ${ALONE_RATIO} of what the encoder does alone`,
    status: ratio.high >= ALONE_RATIO ? 'pass' : timed.every(({ repetition }) => repetition.disturbed) ? 'inconclusive' : 'fail',
    detail: `${ratio.median.toFixed(3)} [${ratio.low.toFixed(3)}, ${ratio.high.toFixed(3)}], ${pairs.length} pairs`,
  };
}
