import { InputError } from '../errors.ts';
import { LATENCY_STAGES, type Metrics, type RunDocument } from '../run-document.ts';

/** Metrics compared unless others are named: work of both sides, the rate, and the tail of what a viewer waits for. */
export const DEFAULT_METRICS: readonly string[] = ['hostServiceUs.p50', 'guestServiceUs.p50', 'fps', 'latencyUs.submitToPresent.p99'];

/** Compared as well unless others are named, where any of the runs has them: what an encoder and a viewer get. */
const WHERE_MEASURED: readonly string[] = ['encode.fps', 'glass.p50Us'];

/** What is compared of these runs unless metrics are named. */
export function defaultMetrics(runs: readonly RunDocument[]): readonly string[] {
  const timed = runs.flatMap(({ scenarios }) => scenarios.flatMap(({ repetitions }) => repetitions));
  return [...DEFAULT_METRICS, ...WHERE_MEASURED.filter((metric) => timed.some((repetition) => metricValue(repetition, metric) !== null))];
}

/** Who sleeps neither works nor spins: that share rises as the others fall. */
const HIGHER_IS_BETTER: ReadonlySet<string> = new Set([
  ...[
    'fps',
    'onePercentLowFps.byP99',
    'onePercentLowFps.byWorstMean',
    'transferGBps',
    'encode.fps',
    'glass.fps',
    'sleepShare.host',
    'sleepShare.guest',
  ],
]);

const dotted = (names: readonly string[], parts: readonly string[]): string[] =>
  names.flatMap((name) => parts.map((part) => `${name}.${part}`));

/** Every metric of a run document that can be compared or bounded, by its dotted name. */
export const METRIC_NAMES: readonly string[] = [
  ...dotted(['hostServiceUs', 'guestServiceUs'], ['mean', 'p50', 'p90', 'p99']),
  ...['hostCpuUsPerFrame', 'guestCpuUsPerFrame', 'fps', 'onePercentLowFps.byP99', 'onePercentLowFps.byWorstMean'],
  ...dotted(
    ['submitToPresent', 'submitToFence', 'submitToResponse', ...LATENCY_STAGES].map((stage) => `latencyUs.${stage}`),
    ['p50', 'p90', 'p99', 'p999', 'max'],
  ),
  ...['copiesPerFrame', 'bytesCopiedPerFrame', 'transferGBps', 'importUs.mean', 'importUs.max', 'segments', 'stutters'],
  ...['encode.fps', 'encode.conversionCpuUs', 'encode.encodingCpuUs', 'encode.gatherCpuUs', 'encode.transferUs'],
  ...['encode.framesSuperseded', 'encode.releasedLate', 'encode.packetBytes', 'encode.bytesCopied.gather'],
  ...dotted(['encode.submitToPacketUs', 'encode.heldUs'], ['p50', 'p90', 'p99', 'p999', 'max']),
  ...dotted(['glass'], ['p50Us', 'p99Us', 'fps', 'lost', 'backwards']),
  ...['framesTorn', 'framesTimedOut', 'framesSuperseded', 'vblanksMissed', 'errorResponses'],
  ...dotted(['allocatedBytesPerFrame', 'spinShare', 'sleepShare'], ['host', 'guest']),
];

export const betterWay = (metric: string): 'lower' | 'higher' => (HIGHER_IS_BETTER.has(metric) ? 'higher' : 'lower');

/** @throws InputError naming a metric there is */
export function checkMetric(metric: string): string {
  if (METRIC_NAMES.includes(metric)) return metric;
  const [stem = ''] = metric.split('.');
  const near = METRIC_NAMES.filter((name) => name.startsWith(`${stem}.`) || name.toLowerCase() === metric.toLowerCase()).slice(0, 4);
  const hint = near.length > 0 ? near.join(', ') : `for example ${DEFAULT_METRICS.join(', ')}`;
  throw new InputError(`there is no metric ${JSON.stringify(metric)}: use ${hint}`);
}

/** Its value in `metrics`; null: not measured, or it does not apply. */
export function metricValue(metrics: Metrics, metric: string): number | null {
  let value: unknown = metrics;
  for (const step of metric.split('.')) {
    if (typeof value !== 'object' || value === null) return null;
    value = (value as Record<string, unknown>)[step];
  }
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}
