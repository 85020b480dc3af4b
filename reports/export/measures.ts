import type { Metrics, Scenario } from '../run-document.ts';

/** A figure of a scenario that services outside follow over time. All are better when smaller. */
export interface Measure {
  /** Kebab case, at most 64 characters: Bencher's slug of a measure. */
  slug: string;
  unit: string;
  /** null: the scenario does not have it. */
  of(metrics: Metrics): number | null;
}

/** A scenario's figure with the least and the most of its repetitions. */
export interface Measured {
  measure: Measure;
  value: number;
  /** null: fewer than two repetitions are to be believed. */
  low: number | null;
  high: number | null;
}

export const MEASURES: readonly Measure[] = [
  { slug: 'host-work-p50', unit: 'µs/frame', of: (m) => m.hostServiceUs?.p50 ?? null },
  { slug: 'host-work-p99', unit: 'µs/frame', of: (m) => m.hostServiceUs?.p99 ?? null },
  { slug: 'guest-work-p50', unit: 'µs/frame', of: (m) => m.guestServiceUs.p50 },
  { slug: 'guest-work-p99', unit: 'µs/frame', of: (m) => m.guestServiceUs.p99 },
  { slug: 'host-cpu', unit: 'µs/frame', of: (m) => m.hostCpuUsPerFrame },
  { slug: 'guest-cpu', unit: 'µs/frame', of: (m) => m.guestCpuUsPerFrame },
  { slug: 'submit-to-present-p50', unit: 'µs', of: (m) => m.latencyUs.submitToPresent?.p50 ?? null },
  { slug: 'submit-to-present-p99', unit: 'µs', of: (m) => m.latencyUs.submitToPresent?.p99 ?? null },
  { slug: 'submit-to-fence-p50', unit: 'µs', of: (m) => m.latencyUs.submitToFence?.p50 ?? null },
  { slug: 'submit-to-response-p50', unit: 'µs', of: (m) => m.latencyUs.submitToResponse?.p50 ?? null },
  // Frames a second are better when larger: their inverse keeps one direction in a file.
  { slug: 'frame-interval', unit: 'µs/frame', of: (m) => (m.fps > 0 ? 1e6 / m.fps : null) },
  { slug: 'bytes-copied', unit: 'bytes/frame', of: (m) => m.bytesCopiedPerFrame },
  { slug: 'import', unit: 'µs/buffer', of: (m) => m.importUs?.mean ?? null },
];

/** The measures that a scenario has; `low` and `high` are of its undisturbed timed repetitions. */
export function measured(scenario: Scenario): Measured[] {
  const repetitions = scenario.repetitions.filter((repetition) => repetition.kind === 'timed' && !repetition.disturbed);
  const found: Measured[] = [];
  for (const measure of MEASURES) {
    const value = measure.of(scenario.results);
    // What JSON has no number for is left out: an interval between frames that took longer than any number says.
    if (value === null || !Number.isFinite(value)) continue;
    const each = repetitions.map(measure.of).filter((one): one is number => one !== null && Number.isFinite(one));
    // What is pooled may lie outside its parts (a p99, say): the bounds hold it.
    const known = each.length >= 2;
    found.push({ measure, value, low: known ? Math.min(value, ...each) : null, high: known ? Math.max(value, ...each) : null });
  }
  return found;
}
