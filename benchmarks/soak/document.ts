/** What `scanout soak --json` prints and `--out` writes as soak.json. */
import type { MachineOptions } from '../../core/machine/options.ts';
import type { Check } from '../../reports/index.ts';
import type { EVENT_KINDS } from './draw.ts';

export type EventCounts = Record<(typeof EVENT_KINDS)[number], number>;

/** One machine's life. */
export interface SoakRound {
  readonly round: number;
  readonly options: MachineOptions;
  /** s, from start to end of the machine. */
  readonly seconds: number;
  /** Frames shown by the host's sink; verified ones had their pixels looked at when shown and at the last read. */
  readonly presented: number;
  readonly verified: number;
  readonly torn: number;
  readonly events: EventCounts;
  /** Heads that were turned on, off or to another size, or given new buffers. */
  readonly modeSets: number;
  /** Buffers moved between VRAM and system memory; refused: pinned, or no room. */
  readonly moves: number;
  readonly movesRefused: number;
  /** Imports that became copies: past udmabuf's list_limit. */
  readonly fallbacks: number;
  /** Commits whose 50 ms ran out: the machine was busy, or a fault. */
  readonly timedOut: number;
  /** ms: how late a timer of the main thread was at most. What stalls it stalls guest and host as well. */
  readonly latestMs: number;
  /** So late that what is due to time alone is no problem of the machine's: changes not followed in time, resets of a device that was slow. */
  readonly disturbed: boolean;
  /** Error responses that neither an EDID of a scanout without a display nor an injected fault explains. */
  readonly errors: number;
  /** Changes after which both sides were asked what they hold. */
  readonly compared: number;
  /** Faults that happened, injected on purpose. */
  readonly faults: readonly string[];
  /** What went wrong, by the check that it breaks. */
  readonly problems: readonly { readonly check: ProblemCheck; readonly what: string }[];
}

/** What can break in a round. */
export const PROBLEM_CHECKS = {
  ends: 'every machine ran to its end',
  torn: 'no frame was torn',
  errors: 'the host answered no error',
  follows: 'every change was followed, and frames went on',
  holds: 'both sides held the same buffers after each change',
  leaks: 'nothing was left when a machine ended',
  faults: 'nothing went wrong that no injected fault explains',
} as const;
export type ProblemCheck = keyof typeof PROBLEM_CHECKS;

/** What the process held after a round and a full collection of each isolate. */
export interface MemorySample {
  /** s since the soak's start. */
  readonly at: number;
  readonly heapBytes: number;
  readonly externalBytes: number;
  /** Both workers. */
  readonly workerHeapBytes: number;
  readonly workerExternalBytes: number;
  /** What native code has from malloc(3); null: the C library does not say. */
  readonly nativeBytes: number | null;
  readonly rssBytes: number;
  /** The C library has given freed memory back before rssBytes was read; else that is in it too. */
  readonly freedGivenBack: boolean;
  /** Address space: each shared memory reserves some, so one that is never given back shows at once. */
  readonly mappedBytes: number | null;
  readonly fds: number | null;
  readonly threads: number | null;
}
export type SeriesName = Exclude<keyof MemorySample, 'at' | 'freedGivenBack'>;

/** How a series went over the judged part of the run. */
export interface Growth {
  readonly series: SeriesName;
  readonly unit: 'bytes' | 'count';
  readonly first: number;
  readonly last: number;
  /** Over the judged part, with its 95% interval; null: too few samples. */
  readonly growth: { readonly estimate: number; readonly low: number; readonly high: number } | null;
  /** Samples judged, and left out at the start as warm-up. */
  readonly samples: number;
  readonly warmUp: number;
  /** The check fails when the whole interval lies above it. */
  readonly bound: number;
  /** What was only freed may be in it: growth above the bound shows no leak. */
  readonly freedToo: boolean;
}

export interface SoakDocument {
  readonly schemaVersion: 1;
  readonly command: string;
  readonly seed: number;
  /** As asked for. */
  readonly minutes: number;
  /** s */
  readonly elapsed: number;
  /** Stopped before its time: what is there is complete in itself. */
  readonly partial: boolean;
  readonly startedAt: string;
  readonly environment: { readonly node: string; readonly cpu: string; readonly cores: number; readonly version: string };
  readonly rounds: readonly SoakRound[];
  readonly samples: readonly MemorySample[];
  readonly memory: readonly Growth[];
  readonly checks: readonly Check[];
}
