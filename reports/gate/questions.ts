import type { RunPair } from '../compare/live.ts';
import { metricValue } from '../compare/metrics.ts';
import { hasRatio, ratioFault, type Sides, sideFigures } from '../compare/no-ratio.ts';
import { InputError } from '../errors.ts';
import type { RunDocument, Scenario } from '../run-document.ts';
import { appliesTo, type Threshold } from './config.ts';
import type { Question } from './evaluate.ts';

export interface Asked {
  readonly questions: readonly Question[];
  /** Where a threshold applies and nothing could be asked, one line each. */
  readonly notes: readonly string[];
}

/** What no busy machine explains: it counts in disturbed repetitions, too. */
const OF_THE_PROGRAM: ReadonlySet<string> = new Set(['copiesPerFrame', 'bytesCopiedPerFrame', 'errorResponses', 'segments']);

/** Thresholds put to stored runs. `base` null: absolute ones only. @throws InputError as `ask` */
export function questionsOfDocuments(thresholds: readonly Threshold[], base: RunDocument | null, head: RunDocument): Asked {
  return ask(thresholds, base === null ? null : idsOf(base), idsOf(head), false, (id, metric) => ({
    base: base === null ? [] : valuesOf(base, id, metric),
    head: valuesOf(head, id, metric),
  }));
}

/** Thresholds put to interleaved pairs of runs. @throws InputError as `ask` */
export function questionsOfPairs(thresholds: readonly Threshold[], runs: readonly RunPair[]): Asked {
  const ids = (side: 0 | 1): string[] => (runs[0] === undefined ? [] : idsOf(runs[0][side]));
  return ask(thresholds, ids(0), ids(1), true, (id, metric) => {
    // One repetition a run.
    const values = (side: 0 | 1): (number | null)[] => runs.map((pair) => valuesOf(pair[side], id, metric)[0] ?? null);
    return { base: values(0), head: values(1) };
  });
}

/** @throws InputError a threshold that cannot be put to what was measured: it must not pass unseen */
function ask(
  thresholds: readonly Threshold[],
  baseIds: readonly string[] | null,
  headIds: readonly string[],
  paired: boolean,
  sidesOf: (scenario: string, metric: string) => Sides,
): Asked {
  const questions: Question[] = [];
  const notes = new Set<string>();
  for (const threshold of thresholds) {
    const { text, metric, scenarios } = threshold;
    const gone = baseIds?.find((id) => appliesTo(threshold, id) && !headIds.includes(id));
    if (gone !== undefined)
      throw new InputError(`"${text}" is for ${gone} too, which base has and head has not: measure the same scenarios of both`);
    const about = headIds.filter((id) => appliesTo(threshold, id));
    if (about.length === 0)
      throw new InputError(
        `"${text}" is for ${JSON.stringify(scenarios)}, which no scenario of the run is: ${headIds.join(', ') || 'none'}`,
      );
    const unasked: string[] = [];
    let asked = 0;
    for (const id of about) {
      const sides = sidesOf(id, metric);
      const question =
        baseIds === null || baseIds.includes(id) ? questionOf(threshold, id, sides, paired) : newScenario(threshold, id, sides);
      if (typeof question === 'string') unasked.push(question);
      else {
        questions.push(question);
        asked++;
      }
    }
    if (asked === 0) throw new InputError(`"${text}": ${unasked.join('; ')}`);
    for (const words of unasked) notes.add(`"${text}" is not asked: ${words}`);
  }
  return { questions, notes: [...notes] };
}

/** @returns the question; words: why it cannot be asked where it need not be. @throws InputError it would have to be */
function questionOf(threshold: Threshold, scenario: string, sides: Sides, paired: boolean): Question | string {
  const { text, metric, relative } = threshold;
  const fault = ratioFault(sides);
  if (fault === 'absent') return `${metric} was not measured in ${scenario}`;
  if (!relative) {
    const head = sides.head.filter((value) => value !== null);
    if (head.length > 0) return { scenario, threshold, figures: { paired, base: [], head } };
    throw new InputError(`"${text}": ${metric} of ${scenario} was measured in base, but not in head`);
  }
  if (hasRatio(sides)) return { scenario, threshold, figures: { paired, base: sides.base, head: sides.head } };
  if (fault === 'zero') return `${metric} is 0 on both sides of ${scenario}`;
  throw new InputError(
    `"${text}": ${metric} of ${scenario} has no percentage (${sideFigures(sides)}): bound it by itself, as in "${metric} ${threshold.operator} 1"`,
  );
}

/** Of a scenario that base has not. */
function newScenario(threshold: Threshold, scenario: string, sides: Sides): Question | string {
  return threshold.relative ? `base has no ${scenario} to compare it with` : questionOf(threshold, scenario, sides, false);
}

const idsOf = ({ scenarios }: RunDocument): string[] => scenarios.map(({ id }) => id);

/** Of the undisturbed timed repetitions, of all timed ones where there is none; torn frames are counted over all that were verified. */
function valuesOf({ scenarios }: RunDocument, id: string, metric: string): (number | null)[] {
  const scenario: Scenario | undefined = scenarios.find((one) => one.id === id);
  if (scenario === undefined) return [];
  const timed = scenario.repetitions.filter(({ kind }) => kind === 'timed');
  const good = OF_THE_PROGRAM.has(metric) ? timed : timed.filter(({ disturbed }) => !disturbed);
  const sources = metric === 'framesTorn' ? [scenario.results] : good.length > 0 ? good : timed;
  return sources.map((metrics) => metricValue(metrics, metric));
}
