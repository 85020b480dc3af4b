import type { Ring } from '../../core/machine/options.ts';
import { QUEUE_MEMORY } from '../../core/machine/testing/host-rig.ts';

export interface RingKind {
  readonly ring: Ring;
  readonly inOrder: boolean;
}

/** Every kind of virtqueue. */
export const RING_KINDS: readonly RingKind[] = [
  { ring: 'split', inOrder: false },
  { ring: 'packed', inOrder: false },
  { ring: 'split', inOrder: true },
  { ring: 'packed', inOrder: true },
];

const SLOTS = 32;
/** A slot holds a request or a response, and more than the host ever writes of one. */
const SLOT_BYTES = 2048;

/** Where guest and host of the raw-ring part put things, in region 0. */
export const RACE = {
  regionBytes: 0x50000,
  slots: SLOTS,
  slotBytes: SLOT_BYTES,
  requests: QUEUE_MEMORY[1],
  responses: QUEUE_MEMORY[1] + SLOTS * SLOT_BYTES,
  /** First byte that neither side uses. */
  end: QUEUE_MEMORY[1] + 2 * SLOTS * SLOT_BYTES,
} as const;

/** Cells that both threads of the raw-ring part share. */
export const Cell = {
  /** The episode to be played; the other thread waits for it to change. −1: end. */
  episode: 0,
  /** The last episode that was played to its end. */
  done: 1,
  /** Index of the kind of ring. */
  kind: 2,
  seed: 3,
  /** Chains to be offered. */
  steps: 4,
  /** Not 0: the host has stopped, a few more writes will do. */
  broken: 5,
  /** Inputs begun, counted by the host: while it changes, nothing hangs. */
  inputs: 6,
  /** Not 0: the device side of the ring works alone. */
  ringOnly: 7,
  cells: 8,
} as const;

/** The parts, in the order in which they take turns. */
export const PARTS = ['model', 'traces', 'race'] as const;
export type PartName = (typeof PARTS)[number];

/** Inputs of a round: sequences of commands, recorded guests, episodes; each a few tenths of a second. */
export const INPUTS: Readonly<Record<PartName, number>> = { model: 40, traces: 6, race: 80 };

/** One round: inputs of one part on one kind of ring, all of them drawn from its seed. */
export interface Round {
  readonly part: PartName;
  /** Index of the kind of ring. */
  readonly kind: number;
  /** Of this round, i32. */
  readonly seed: number;
  readonly inputs: number;
  /** fast-check's way to one input, and through its commands; only that one is played. */
  readonly path?: string;
  readonly replayPath?: string;
}

/** What a round found. */
export interface Found {
  readonly message: string;
  readonly stack: string;
  /** Way to the smallest input found that fails. Races: the episode. */
  readonly path: string;
  readonly replayPath: string | null;
  /** The input in words. */
  readonly input: string;
}

export interface RoundResult {
  readonly inputs: number;
  /** Races: chains taken, rings broken. */
  readonly chains: number;
  readonly broken: number;
  readonly found: Found | null;
  /** Of a round with a path: why it leads to no input. */
  readonly nowhere?: string;
}

/** The round that comes `index`th with a seed. */
export function roundOf(seed: number, index: number): Round {
  const part = PARTS[index % PARTS.length];
  const kind = Math.floor(index / PARTS.length) % RING_KINDS.length;
  return { part, kind, seed: mix(seed, index), inputs: INPUTS[part] };
}

/** Another number for each pair, the same for the same pair; i32, as fast-check's seeds are. */
function mix(seed: number, index: number): number {
  let word = Math.imul(seed ^ 0x5bd1e995, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b);
  word = Math.imul(word ^ (word >>> 16), 0x21f0aaad);
  return word ^ (word >>> 15);
}

/** Runs one input; may count it, or leave it out. */
export type Watched = (input: () => void) => void;
