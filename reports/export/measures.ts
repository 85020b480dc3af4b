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
  { slug: 'frame-interval', unit: 'µs/frame', of: (m) => intervalUs(m.fps) },
  { slug: 'bytes-copied', unit: 'bytes/frame', of: (m) => m.bytesCopiedPerFrame },
  { slug: 'import', unit: 'µs/buffer', of: (m) => m.importUs?.mean ?? null },
  { slug: 'encoded-interval', unit: 'µs/frame', of: (m) => intervalUs(m.encode?.fps) },
  // Over that of the encoder by itself.
  {
    slug: 'encoded-interval-to-alone',
    unit: 'ratio',
    of: (m) => (m.encode?.aloneFps && m.encode.fps > 0 ? m.encode.aloneFps / m.encode.fps : null),
  },
  { slug: 'encode-path-copies', unit: 'µs/frame', of: (m) => m.encode?.transferUs ?? null },
  { slug: 'encode-gather-cpu', unit: 'µs/frame', of: (m) => m.encode?.gatherCpuUs ?? null },
  { slug: 'encode-conversion-cpu', unit: 'µs/frame', of: (m) => m.encode?.conversionCpuUs ?? null },
  { slug: 'encode-encoding-cpu', unit: 'µs/frame', of: (m) => m.encode?.encodingCpuUs ?? null },
  { slug: 'submit-to-packet-p50', unit: 'µs', of: (m) => m.encode?.submitToPacketUs?.p50 ?? null },
  { slug: 'submit-to-packet-p99', unit: 'µs', of: (m) => m.encode?.submitToPacketUs?.p99 ?? null },
  { slug: 'buffer-held-p50', unit: 'µs', of: (m) => m.encode?.heldUs?.p50 ?? null },
  { slug: 'frames-superseded', unit: 'frames', of: (m) => m.encode?.framesSuperseded ?? null },
  { slug: 'glass-to-glass-p50', unit: 'µs', of: (m) => m.glass?.p50Us ?? null },
  { slug: 'glass-to-glass-p99', unit: 'µs', of: (m) => m.glass?.p99Us ?? null },
  { slug: 'shown-interval', unit: 'µs/frame', of: (m) => intervalUs(m.glass?.fps) },
  { slug: 'frames-not-sent', unit: 'frames', of: (m) => m.glass?.lost ?? null },
];

/** From one frame to the next; null: none came. */
function intervalUs(fps: number | undefined): number | null {
  return fps !== undefined && fps > 0 ? 1e6 / fps : null;
}

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
