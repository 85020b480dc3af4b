import type { RunPair } from '../compare/live.ts';
import { metricValue } from '../compare/metrics.ts';
import { InputError } from '../errors.ts';
import type { RunDocument, Scenario } from '../run-document.ts';
import { appliesTo, type Threshold } from './config.ts';
import type { Figures, Question } from './evaluate.ts';

/** Thresholds put to stored runs. `base` null: absolute ones only. @throws InputError as `ask` */
export function questionsOfDocuments(thresholds: readonly Threshold[], base: RunDocument | null, head: RunDocument): Question[] {
  return ask(thresholds, head.scenarios, (id, metric) => {
    const before = base?.scenarios.find((scenario) => scenario.id === id);
    const after = head.scenarios.find((scenario) => scenario.id === id);
    return {
      paired: false,
      base: before === undefined ? [] : valuesOf(before, metric),
      head: after === undefined ? [] : valuesOf(after, metric),
    };
  });
}

/** Thresholds put to interleaved pairs of runs. @throws InputError as `ask` */
export function questionsOfPairs(thresholds: readonly Threshold[], runs: readonly RunPair[]): Question[] {
  const scenarios = runs[0]?.[0].scenarios ?? [];
  return ask(thresholds, scenarios, (id, metric) => {
    const place = scenarios.findIndex((scenario) => scenario.id === id);
    const both = runs.map((pair) => pair.map(({ scenarios: all }) => valuesOf(all[place], metric)));
    // A pair without a value of both sides is none.
    const whole = both.filter((sides) => sides.every((values) => values.length > 0));
    return { paired: true, base: whole.map(([values]) => values[0]), head: whole.map(([, values]) => values[0]) };
  });
}

/** @throws InputError a threshold that is about nothing that was measured: it must not pass unseen */
function ask(
  thresholds: readonly Threshold[],
  scenarios: readonly { readonly id: string }[],
  figuresOf: (scenario: string, metric: string) => Figures,
): Question[] {
  const questions: Question[] = [];
  for (const threshold of thresholds) {
    const { text, metric, relative } = threshold;
    const about = scenarios.filter(({ id }) => appliesTo(threshold, id));
    if (about.length === 0) {
      const ids = scenarios.map(({ id }) => id).join(', ') || 'none';
      throw new InputError(`"${text}" is for ${JSON.stringify(threshold.scenarios)}, which no scenario of the run is: ${ids}`);
    }
    const asked = about.flatMap(({ id }): Question[] => {
      const figures = figuresOf(id, metric);
      const usable = figures.head.length > 0 && (!relative || (figures.base.length > 0 && positive(figures)));
      return usable ? [{ scenario: id, threshold, figures }] : [];
    });
    if (asked.length === 0)
      throw new InputError(
        `"${text}": ${metric} was not measured in ${about.map(({ id }) => id).join(', ')}${relative ? ' on both sides' : ''}`,
      );
    questions.push(...asked);
  }
  return questions;
}

const positive = ({ base, head }: Figures): boolean => [...base, ...head].every((value) => value > 0);

/** Of the undisturbed timed repetitions, of all timed ones where there is none; torn frames are counted over all that were verified. */
function valuesOf(scenario: Scenario | undefined, metric: string): number[] {
  if (scenario === undefined) return [];
  const timed = scenario.repetitions.filter(({ kind }) => kind === 'timed');
  const good = timed.filter(({ disturbed }) => !disturbed);
  const sources = metric === 'framesTorn' ? [scenario.results] : good.length > 0 ? good : timed;
  return sources.map((metrics) => metricValue(metrics, metric)).filter((value) => value !== null);
}
