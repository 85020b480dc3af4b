/** What a machine can resolve: the file that `scanout calibrate` writes and a gate reads. */
import { environmentDifferences } from './compare/environments.ts';
import { InputError } from './errors.ts';
import { parseJson, readText } from './json.ts';
import type { Environment } from './run-document.ts';

export const CALIBRATION_VERSION = 1;

export interface Calibration {
  readonly schemaVersion: typeof CALIBRATION_VERSION;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  readonly finishedAt: string;
  /** A command line that repeats it. */
  readonly command: string;
  /** True: stopped early; the figures come from what was complete. */
  readonly partial: boolean;
  readonly environment: Environment;
  readonly scenario: string;
  /** The metric that the positive control is judged by. */
  readonly primaryMetric: string;
  readonly alpha: number;
  /** A change within this part counts as none. */
  readonly margin: number;
  /** The most pairs of a comparison. */
  readonly maxPairs: number;
  /** s that one side of a pair took, median: process start, warm-up and all. */
  readonly secondsPerSide: number;
  readonly metrics: readonly CalibratedMetric[];
  /** Null: not measured. */
  readonly positiveControl: PositiveControl | null;
}

export interface CalibratedMetric {
  readonly metric: string;
  /** Comparisons of a side with itself, and those of them that called it regressed or improved. */
  readonly comparisons: number;
  readonly falseVerdicts: number;
  /** 0.04: a change by 4% is found 19 times of 20 with `maxPairs` pairs; null: not even a doubling is, or there were too few pairs. */
  readonly smallestDetectable: number | null;
  /** Spread of the log ratios of A/A pairs: 1.4826 × their median absolute deviation. */
  readonly spread: number;
}

/** A handicap that has to be found. */
export interface PositiveControl {
  /** Bytes of each frame copied again, percent. */
  readonly handicapPercent: number;
  readonly trials: number;
  /** Trials in which the primary metric regressed. */
  readonly found: number;
  /** Median of the trials' estimates, head over base. */
  readonly ratio: number;
}

/** @throws InputError the file is missing, truncated, of another version or not a calibration */
export function readCalibration(path: string): Calibration {
  const value = parseJson(readText(path), path);
  const fields = typeof value === 'object' && value !== null ? (value as Partial<Calibration>) : {};
  if (fields.schemaVersion !== CALIBRATION_VERSION) {
    const version = JSON.stringify(fields.schemaVersion) ?? 'missing';
    throw new InputError(
      `${path}: not a calibration: schemaVersion ${version} is unknown; this version of scanout reads ${CALIBRATION_VERSION}`,
    );
  }
  const sound =
    typeof fields.scenario === 'string' &&
    typeof fields.environment === 'object' &&
    fields.environment !== null &&
    !Array.isArray(fields.environment) &&
    Number.isInteger(fields.maxPairs) &&
    Array.isArray(fields.metrics) &&
    fields.metrics.every(
      (one) => typeof one?.metric === 'string' && (one.smallestDetectable === null || isPositive(one.smallestDetectable)),
    );
  if (!sound) throw new InputError(`${path}: not a calibration: scenario, environment, maxPairs or metrics are missing or malformed`);
  return value as Calibration;
}

const isPositive = (value: unknown): boolean => typeof value === 'number' && value > 0 && Number.isFinite(value);

/** Why a calibration says nothing of this machine; null: it was made on it. Versions of Node and the kernel count. */
export function notOfThisMachine(calibration: Calibration, environment: Environment): string | null {
  return environmentDifferences(calibration.environment, environment)[0] ?? null;
}
