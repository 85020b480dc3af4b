import type { Ring } from '../../core/machine/options.ts';

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
