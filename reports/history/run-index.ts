import { createHash } from 'node:crypto';
import { InputError } from '../errors.ts';
import { plain } from '../format.ts';
import type { Environment, Results, RunDocument, Scenario } from '../run-document.ts';
import { formatRun } from '../write.ts';

/** What the index holds of a run; of its texts what `plain` leaves: a database refuses some characters, or gives back others. */
export interface IndexedRun {
  /** Of the document: the time it began and a hash of its text. */
  readonly id: string;
  readonly startedAt: string;
  readonly suite: string;
  readonly version: string;
  /** Commit of the checkout that ran; null: unknown. */
  readonly commit: string | null;
  /** With changes that no commit has. */
  readonly dirty: boolean;
  readonly environment: HistoryEnvironment;
  readonly scenarios: readonly IndexedScenario[];
}

export interface IndexedScenario {
  readonly id: string;
  /** Options that the id may not name, in words. */
  readonly options: string;
  /** Why its figures are not to be believed; null: they are. */
  readonly excluded: string | null;
  /** By name, as `latencyUs.submitToPresent.p50`. */
  readonly metrics: ReadonlyMap<string, number>;
}

/** What has to be the same for two runs to be compared. */
export interface HistoryEnvironment {
  /** A hash of the rest, 8 hexadecimal digits. */
  readonly id: string;
  readonly cpu: string;
  readonly cores: number;
  readonly kernel: string;
  readonly node: string;
  readonly v8: string;
}

/** @param origin what the document is called in error messages @throws InputError the document breaks the schema */
export function indexRun(document: RunDocument, origin: string): IndexedRun {
  const failed = document.checks.find((check) => check.status === 'fail');
  return {
    id: runId(document, origin),
    startedAt: beginOf(document, origin),
    suite: plain(document.suite),
    version: plain(document.scanoutVersion),
    commit: document.revision?.commit ?? null,
    dirty: document.revision?.dirty ?? false,
    environment: fingerprint(document.environment),
    scenarios: document.scenarios.map((scenario) => ({
      id: plain(scenario.id),
      options: plain(optionWords(scenario)),
      excluded: failed !== undefined ? `the run is invalid: ${plain(failed.name)}` : scenario.results.disturbed ? 'disturbed' : null,
      metrics: metricsOf(scenario.results),
    })),
  };
}

/** `20261123T055410Z-0123456789ab`: in the order of time, the same for the same document. @throws InputError */
export function runId(document: RunDocument, origin = 'run.json'): string {
  const began = beginOf(document, origin).replaceAll(/[-:]|\.\d+/g, '');
  return `${began}-${createHash('sha256').update(formatRun(document)).digest('hex').slice(0, 12)}`;
}

/** ISO 8601 with milliseconds, so that texts sort as times do. @throws InputError the schema's pattern has room for a 13th month */
function beginOf({ startedAt }: RunDocument, origin: string): string {
  const time = Date.parse(startedAt);
  if (Number.isNaN(time)) throw new InputError(`${origin}: not a run document: startedAt ${JSON.stringify(startedAt)} is no time`);
  return new Date(time).toISOString();
}

export function fingerprint({ cpu, cores, kernel, node, v8 }: Environment): HistoryEnvironment {
  const id = createHash('sha256')
    .update(JSON.stringify([cpu, cores, kernel, node, v8]))
    .digest('hex')
    .slice(0, 8);
  return { id, cpu: plain(cpu), cores, kernel: plain(kernel), node: plain(node), v8: plain(v8) };
}

function optionWords(scenario: Scenario): string {
  const { sink, ring, layout, host, renderer, buffers, heads, settings = {} } = scenario;
  const special = Object.keys(settings)
    .sort()
    .map((name) => `${name} ${settings[name]}`);
  return [
    `${sink} sink`,
    `${ring} ring`,
    `${layout} pages`,
    `host in ${host}`,
    renderer,
    `buffers ${buffers}`,
    `heads ${heads}`,
    ...special,
  ].join(', ');
}

/** Names that a metric may have: a document may hold fields that this version does not know, under any name. */
const METRIC = /^[A-Za-z]\w{0,63}(?:\.\w{1,64}){0,4}$/;
/** No machine has a figure beyond, nor one nearer to 0: sums, squares and quotients of such still are numbers. */
const MOST_VALUE = 1e100;
const LEAST_VALUE = 1e-100;

/** Every figure of the results, by its place in the run document. */
function metricsOf(results: Results): Map<string, number> {
  const metrics = new Map<string, number>();
  const walk = (value: unknown, place: string): void => {
    if (typeof value === 'number' && Math.abs(value) <= MOST_VALUE && METRIC.test(place))
      metrics.set(place, Math.abs(value) < LEAST_VALUE ? 0 : value);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return;
    for (const [key, inner] of Object.entries(value)) walk(inner, place === '' ? key : `${place}.${key}`);
  };
  walk(results, '');
  return metrics;
}
