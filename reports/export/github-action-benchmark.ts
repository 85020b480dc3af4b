import { compact, counted, plain, trimmed } from '../format.ts';
import type { RunDocument } from '../run-document.ts';
import { measured } from './measures.ts';

/** An entry of `customSmallerIsBetter` (benchmark-action/github-action-benchmark, src/extract.ts, BenchmarkResult). */
interface Entry {
  name: string;
  unit: string;
  value: number;
  /** `± 1.2`: half of what lies between the least and the most of the repetitions. */
  range?: string;
  extra: string;
}

/** github-action-benchmark's own JSON, for `tool: customSmallerIsBetter`. */
export function exportGithubActionBenchmark(run: RunDocument): string {
  const { cpu, cores, kernel, node } = run.environment;
  const machine = plain(`${cpu}, ${cores} cores, ${kernel}, Node ${node}`);
  const entries: Entry[] = [];
  for (const scenario of run.scenarios) {
    const timed = scenario.repetitions.filter((repetition) => repetition.kind === 'timed').length;
    const disturbed = scenario.results.disturbed ? '\ndisturbed: its times are not to be trusted' : '';
    for (const { measure, value, low, high } of measured(scenario)) {
      const entry: Entry = {
        name: `${plain(scenario.id)} ${measure.slug}`,
        unit: measure.unit,
        value,
        extra: `${counted(timed, 'repetition', 'repetitions')}, ${compact(scenario.results.framesPresented)} frames\n${machine}${disturbed}`,
      };
      if (low !== null && high !== null) entry.range = `± ${trimmed((high - low) / 2, 3)}`;
      entries.push(entry);
    }
  }
  return `${JSON.stringify(entries, null, 2)}\n`;
}
