/** A gate's thresholds, from a small JSON file in the manner of k6. */

import { betterWay, checkMetric } from '../compare/metrics.ts';
import { InputError } from '../errors.ts';
import { matchesGlob } from '../glob.ts';
import { parseJson, readText } from '../json.ts';

/** `hostServiceUs.p99 < +5%` or `framesTorn <= 0`. */
export interface Threshold {
  /** As it stands in the file. */
  readonly text: string;
  /** Id of the scenarios it is for, `*` for any characters. */
  readonly scenarios: string;
  readonly metric: string;
  readonly operator: '<' | '<=' | '>' | '>=';
  /** Relative: a ratio of head over base, 1.05 for +5%. Absolute: a value in the metric's unit. */
  readonly bound: number;
  readonly relative: boolean;
}

const THRESHOLD = /^\s*([A-Za-z][\w.]*)\s*(<=|>=|<|>)\s*([+-]?\d+(?:\.\d+)?)(%?)\s*$/;

/** @throws InputError the file is missing or truncated, or a threshold makes no sense; the message names it */
export function readGate(path: string): Threshold[] {
  return parseGate(readText(path), path);
}

/** @param origin what the text is called in errors @throws InputError as `readGate` */
export function parseGate(text: string, origin: string): Threshold[] {
  const value = parseJson(text, origin);
  const fault = (words: string): InputError => new InputError(`${origin}: ${words}`);
  const twice = repeatedKey(text);
  if (twice !== null) throw fault(`${JSON.stringify(twice)} is there twice, and only the last would count: make them one list`);
  if (!isObject(value)) throw fault('not a JSON object');
  for (const key of Object.keys(value))
    if (key !== 'thresholds') throw fault(`${JSON.stringify(key)} is unknown; there is only "thresholds"`);
  const { thresholds } = value as { thresholds?: unknown };
  if (!isObject(thresholds)) throw fault('"thresholds" is missing: {"thresholds": {"*": ["hostServiceUs.p50 < +5%"]}}');
  const parsed: Threshold[] = [];
  for (const [scenarios, list] of Object.entries(thresholds)) {
    if (!Array.isArray(list) || list.length === 0)
      throw fault(`thresholds of ${JSON.stringify(scenarios)} are not a list, or an empty one`);
    for (const one of list) {
      try {
        const threshold = parseThreshold(scenarios, one);
        const same = parsed.find((other) => other.scenarios === scenarios && other.text === threshold.text);
        if (same !== undefined) throw new InputError(`"${same.text}" is there twice for ${JSON.stringify(scenarios)}`);
        parsed.push(threshold);
      } catch (error) {
        throw error instanceof InputError ? fault(error.message) : error;
      }
    }
  }
  if (parsed.length === 0) throw fault('it has no thresholds');
  return parsed;
}

/** @throws InputError */
export function parseThreshold(scenarios: string, value: unknown): Threshold {
  const match = typeof value === 'string' ? THRESHOLD.exec(value) : null;
  if (match === null)
    throw new InputError(`${JSON.stringify(value)} is no threshold: write "hostServiceUs.p99 < +5%" or "framesTorn <= 0"`);
  const [text, metric, operator, number, percent] = match;
  checkMetric(metric);
  const relative = percent === '%';
  const threshold: Threshold = {
    text: text.trim().replaceAll(/\s+/g, ' '),
    scenarios,
    metric,
    operator: operator as Threshold['operator'],
    bound: relative ? 1 + Number(number) / 100 : Number(number),
    relative,
  };
  if (relative) checkRelative(threshold, number);
  else checkAbsolute(threshold, number);
  return threshold;
}

/** No metric is negative. */
function checkAbsolute({ text, operator, bound }: Threshold, number: string): void {
  if (/^[+-]/.test(number)) throw new InputError(`"${text}": a change needs its %, as in ${number}%; a bound by itself has no sign`);
  if (bound > 0) return;
  if (operator === '>=') throw new InputError(`"${text}" always holds: bound it above 0`);
  if (operator === '<') throw new InputError(`"${text}" never holds: write <= 0`);
}

function checkRelative({ text, metric, operator, bound }: Threshold, number: string): void {
  if (!/^[+-]/.test(number)) throw new InputError(`"${text}": write the change with its sign, +5% or -5%`);
  if (bound <= 0) throw new InputError(`"${text}": nothing falls by 100% or more`);
  const upper = operator.startsWith('<');
  if (upper !== (betterWay(metric) === 'lower'))
    throw new InputError(
      `"${text}": of ${metric} ${betterWay(metric)} is better: bound it from ${upper ? 'below, > -5%' : 'above, < +5%'}`,
    );
  if (bound === 1) throw new InputError(`"${text}": no machine resolves a change of 0%`);
}

export function appliesTo({ scenarios }: Threshold, id: string): boolean {
  return matchesGlob(scenarios, id);
}

/** A name that an object of this JSON has twice, of which JSON.parse keeps the last; null: none. @param text valid JSON */
function repeatedKey(text: string): string | null {
  const open: Set<string>[] = [];
  // A string before a colon is a name; brackets within strings are none.
  for (const [token, name, colon] of text.matchAll(/("(?:[^"\\]|\\.)*")(\s*:)?|[{}]/g)) {
    if (token === '{') open.push(new Set());
    else if (token === '}') open.pop();
    else if (colon !== undefined) {
      const key = String(JSON.parse(name));
      const names = open[open.length - 1];
      if (names.has(key)) return key;
      names.add(key);
    }
  }
  return null;
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null && !Array.isArray(value);
