import { invalidates } from '../checks.ts';
import type { Environment, RunDocument } from '../run-document.ts';

/** What decides how fast a machine is. Options differ by scenario, and scenarios are compared by their ids. */
const DECISIVE = ['cpu', 'cores', 'memoryBytes', 'kernel', 'node', 'v8', 'platform', 'arch', 'copier', 'governor'] as const;

/** Where two runs' environments differ, one line each: `kernel: Linux 6.1 against Linux 6.18`. */
export function environmentDifferences(base: Environment, head: Environment): string[] {
  return DECISIVE.filter((name) => base[name] !== head[name]).map((name) => `${name}: ${words(base[name])} against ${words(head[name])}`);
}

/** Why a run's figures are not to be compared with confidence, one line each; `side`: what it is called. */
export function runWarnings(run: RunDocument, side: string): string[] {
  const warnings: string[] = [];
  if (run.partial) warnings.push(`${side} is a partial run: ${run.partialReason ?? 'it ended early'}`);
  const fault = invalidity(run);
  if (fault !== null) warnings.push(`${side} is an INVALID RUN: ${fault}`);
  return warnings;
}

/** Which check makes a run invalid, with its figures; null: none does. */
export function invalidity(run: RunDocument): string | null {
  const check = run.checks.find(invalidates);
  return check === undefined ? null : `${check.name}: ${check.detail}`;
}

const words = (value: string | number | null): string => (value === null ? 'unknown' : String(value));
