import { plain } from '../format.ts';
import type { RunDocument } from '../run-document.ts';
import { measured } from './measures.ts';

interface Metric {
  value: number;
  lower_value?: number;
  upper_value?: number;
}

/**
 * Bencher Metric Format (https://bencher.dev/docs/reference/bencher-metric-format, schema https://bencher.dev/bmf.json):
 * a benchmark a scenario, a measure a figure. The bounds are the least and the most of the repetitions.
 */
export function exportBmf(run: RunDocument): string {
  const benchmarks: [string, Record<string, Metric>][] = run.scenarios.map((scenario) => [
    plain(scenario.id),
    Object.fromEntries(
      measured(scenario).map(({ measure, value, low, high }) => {
        const metric: Metric = { value };
        if (low !== null && high !== null) Object.assign(metric, { lower_value: low, upper_value: high });
        return [measure.slug, metric];
      }),
    ),
  ]);
  return `${JSON.stringify(Object.fromEntries(benchmarks), null, 2)}\n`;
}
