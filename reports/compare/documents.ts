import { InputError } from '../errors.ts';
import { seededRandom } from '../random.ts';
import type { Repetition, RunDocument, Scenario } from '../run-document.ts';
import { storedAdvice } from './advice.ts';
import { environmentDifferences, runWarnings } from './environments.ts';
import { concludeFamily, type Measured } from './family.ts';
import { checkMetric, defaultMetrics, metricValue } from './metrics.ts';
import { hasRatio, type NoRatio, ratioFault, sideFigures } from './no-ratio.ts';
import { samplesEffect } from './samples.ts';
import { ALPHA, type ComparisonDocument, STORED_MARGIN } from './verdict.ts';

export interface CompareOptions {
  /** 0.05: a change by 5% counts as none. Default STORED_MARGIN. */
  readonly margin?: number;
  /** Compare although the machines differ; the differences are noted. */
  readonly acrossEnvironments?: boolean;
  /** Dotted names; default: defaultMetrics of both. */
  readonly metrics?: readonly string[];
  /** Ids; default: all that both runs have. */
  readonly scenarios?: readonly string[];
}

/**
 * Two stored runs by their timed repetitions. They were not interleaved, so a drift of the machine between them shows as a
 * difference: hence the wider margin, which a change has to leave as a whole, and a note.
 * @throws InputError no common scenarios or metrics, different environments, an unknown metric
 */
export function compareDocuments(base: RunDocument, head: RunDocument, options: CompareOptions = {}): ComparisonDocument {
  const { margin = STORED_MARGIN, acrossEnvironments = false, metrics = defaultMetrics([base, head]) } = options;
  for (const metric of metrics) checkMetric(metric);
  const differences = environmentDifferences(base.environment, head.environment);
  if (differences.length > 0 && !acrossEnvironments) {
    const more = differences.length > 1 ? ` (and ${differences.length - 1} more)` : '';
    throw new InputError(
      `the runs are from different environments: ${differences[0]}${more}; --across-environments compares them all the same`,
    );
  }
  const common = commonScenarios(base, head, options.scenarios);
  const notes = differences.map((difference) => `DIFFERENT ENVIRONMENTS, ${difference}`);
  notes.push(...runWarnings(base, 'base'), ...runWarnings(head, 'head'));
  const measured: Measured[] = [];
  const without: NoRatio[] = [];
  const sizes: [number, number][] = [];
  const disturbed = new Set<string>();
  for (const [a, b] of common) {
    for (const metric of metrics) {
      const sides = { base: valuesOf(a, metric), head: valuesOf(b, metric) };
      const fault = ratioFault(sides);
      if (fault !== null) without.push({ scenario: a.id, metric, fault, figures: fault === 'mixed' ? sideFigures(sides) : '' });
      if (!hasRatio(sides)) continue;
      for (const scenario of [a, b]) if (undisturbed(scenario).length === 0) disturbed.add(scenario.id);
      const effect = samplesEffect(sides.base, sides.head, margin, seededRandom(1));
      sizes.push([sides.base.length, sides.head.length]);
      measured.push({ scenario: a.id, metric, effect, pairs: Math.min(sides.base.length, sides.head.length), paired: false });
    }
  }
  const mixed = without.find(({ fault }) => fault === 'mixed');
  if (measured.length === 0)
    throw new InputError(
      mixed === undefined
        ? `the runs have no figures of ${metrics.join(', ')} in common`
        : `${mixed.metric} of ${mixed.scenario} has no ratio (${mixed.figures}): 'scanout gate' bounds it by itself`,
    );
  if (disturbed.size > 0) notes.push(`every repetition was disturbed, on one side at least: ${[...disturbed].join(', ')}`);
  const unlike = common.filter(([a, b]) => settingsOf(a) !== settingsOf(b)).map(([{ id }]) => id);
  if (unlike.length > 0) notes.push(`set differently: ${unlike.join(', ')}`);
  notes.push(...onlyOnOneSide(base, head));
  const percent = `${Number((margin * 100).toFixed(2))}%`;
  notes.push(`stored runs, not interleaved: Mann-Whitney over their repetitions, margin ${percent}; --live compares in pairs`);
  const document = concludeFamily(measured, margin, ALPHA, notes, without);
  return { ...document, advice: storedAdvice(document.comparisons, sizes) };
}

/** @throws InputError none, or not those that are asked for */
function commonScenarios(base: RunDocument, head: RunDocument, wanted: readonly string[] | undefined): [Scenario, Scenario][] {
  const common: [Scenario, Scenario][] = [];
  for (const scenario of base.scenarios) {
    const other = head.scenarios.find(({ id }) => id === scenario.id);
    if (other !== undefined) common.push([scenario, other]);
  }
  if (common.length === 0) {
    const ids = ({ scenarios }: RunDocument): string =>
      scenarios
        .map(({ id }) => id)
        .slice(0, 3)
        .join(', ') || 'none';
    throw new InputError(`the runs have no common scenarios: base has ${ids(base)}, head has ${ids(head)}`);
  }
  if (wanted === undefined) return common;
  for (const id of wanted) {
    if (!common.some(([scenario]) => scenario.id === id))
      throw new InputError(
        `scenario ${JSON.stringify(id)} is not in both runs; they share ${common.map(([scenario]) => scenario.id).join(', ')}`,
      );
  }
  return common.filter(([{ id }]) => wanted.includes(id));
}

/** What an id need not name, as text. */
function settingsOf({ settings = {}, buffers, heads, layout, ring, sink, renderer, host }: Scenario): string {
  const sorted = Object.entries(settings).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([sorted, buffers, heads, layout, ring, sink, renderer, host]);
}

function undisturbed(scenario: Scenario): Repetition[] {
  return scenario.repetitions.filter(({ kind, disturbed }) => kind === 'timed' && !disturbed);
}

/** Of the undisturbed timed repetitions, of all timed ones where there is none. */
function valuesOf(scenario: Scenario, metric: string): (number | null)[] {
  const good = undisturbed(scenario);
  const used = good.length > 0 ? good : scenario.repetitions.filter(({ kind }) => kind === 'timed');
  return used.map((repetition) => metricValue(repetition, metric));
}

function onlyOnOneSide(base: RunDocument, head: RunDocument): string[] {
  const missing = (from: RunDocument, to: RunDocument): string[] =>
    from.scenarios.map(({ id }) => id).filter((id) => !to.scenarios.some((scenario) => scenario.id === id));
  const notes: string[] = [];
  const [gone, fresh] = [missing(base, head), missing(head, base)];
  if (gone.length > 0) notes.push(`only in base: ${gone.join(', ')}`);
  if (fresh.length > 0) notes.push(`only in head: ${fresh.join(', ')}`);
  return notes;
}
