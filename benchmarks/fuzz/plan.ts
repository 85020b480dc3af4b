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
  regionBytes: 1 << 19,
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
  cells: 8,
} as const;
