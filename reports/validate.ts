import type { ErrorObject, ValidateFunction } from 'ajv/dist/2020.js';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { InputError } from './errors.ts';
import { plain } from './format.ts';
import type { RunDocument } from './run-document.ts';
import { SCHEMA_VERSION } from './run-document.ts';
import schema from './schema/run-1.schema.json' with { type: 'json' };

let compiled: ValidateFunction | undefined;

/** Characters of a scenario's id: it is a key in databases, which bound their length. */
const MOST_ID = 512;

/**
 * What is wrong with a run document, in one line that names the place (`scenarios[2].results.fps is missing`);
 * null when it keeps to the schema.
 */
export function runDocumentError(value: unknown): string | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'not a JSON object';
  const version = (value as Record<string, unknown>)['schemaVersion'];
  if (version === undefined) return 'schemaVersion is missing';
  if (version !== SCHEMA_VERSION) return `schemaVersion ${shown(version)} is unknown; this version of scanout reads ${SCHEMA_VERSION}`;
  compiled ??= new Ajv2020({ allowUnionTypes: true }).compile(schema);
  if (compiled(value)) return furtherError(value as RunDocument);
  const error = mostTelling(compiled.errors ?? []);
  return error === undefined ? 'does not keep to the schema' : describe(error, value);
}

/** What the schema cannot say: times that there are, ids that tell scenarios apart wherever they are written. */
function furtherError(run: RunDocument): string | null {
  for (const name of ['startedAt', 'finishedAt'] as const) {
    if (Number.isNaN(Date.parse(run[name]))) return `${name} ${shown(run[name])} is no time`;
  }
  const seen = new Map<string, number>();
  for (const [i, { id }] of run.scenarios.entries()) {
    if (id.length > MOST_ID) return `scenarios[${i}].id has more than ${MOST_ID} characters, is ${shown(id)}`;
    const name = plain(id);
    if (name === '') return `scenarios[${i}].id has no character that can be shown, is ${shown(id)}`;
    const before = seen.get(name);
    if (before !== undefined) return `scenarios[${i}].id is that of scenarios[${before}], ${shown(id)}`;
    seen.set(name, i);
  }
  return null;
}

/** Checks `value`; throws InputError, its message beginning with `origin` (a file name, say). */
export function checkRunDocument(value: unknown, origin: string): RunDocument {
  const error = runDocumentError(value);
  if (error !== null) throw new InputError(`${origin}: not a run document: ${error}`);
  return value as RunDocument;
}

/** A nullable object fails both branches of its anyOf; the deepest error is the one the author made. */
function mostTelling(errors: readonly ErrorObject[]): ErrorObject | undefined {
  let best: ErrorObject | undefined;
  for (const error of errors) {
    if (error.keyword === 'anyOf') continue;
    if (best === undefined || depth(error) > depth(best)) best = error;
  }
  return best ?? errors[0];
}

function depth(error: ErrorObject): number {
  return error.instancePath.split('/').length + (error.keyword === 'required' ? 1 : 0);
}

function describe(error: ErrorObject, document: object): string {
  const steps = error.instancePath
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
  if (error.keyword === 'required') {
    const missing = (error.params as { missingProperty: string }).missingProperty;
    return `${placeOf([...steps, missing])} is missing`;
  }
  let wording = error.message ?? 'does not keep to the schema';
  if (error.keyword === 'enum') {
    wording = `must be one of ${(error.params as { allowedValues: unknown[] }).allowedValues.map((v) => JSON.stringify(v)).join(', ')}`;
  }
  return `${placeOf(steps)} ${wording}, is ${shown(valueAt(document, steps))}`;
}

function placeOf(steps: readonly string[]): string {
  let place = '';
  for (const step of steps) place += /^\d+$/.test(step) ? `[${step}]` : `${place === '' ? '' : '.'}${shortened(step)}`;
  return place === '' ? 'the document' : place;
}

function valueAt(document: unknown, steps: readonly string[]): unknown {
  let value = document;
  for (const step of steps) value = (value as Record<string, unknown> | undefined)?.[step];
  return value;
}

function shown(value: unknown): string {
  // NaN and infinities are not JSON: stringify would call them null.
  const text = typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? 'undefined');
  return shortened(text);
}

function shortened(text: string): string {
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
