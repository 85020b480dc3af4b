import type { AddressSpace } from '../memory/address-space.ts';

/** At most this many descriptors in one chain (QEMU's VIRTQUEUE_MAX_SIZE, the kernel's UIO_MAXIOV). */
export const MAX_CHAIN = 1024;

/**
 * A descriptor chain as it was when it was taken: the descriptors were copied out of shared memory once and
 * checked; only this copy is looked at from then on. Reused: no allocation a chain.
 */
export class Chain {
  /** What `DeviceQueue.push` wants back. */
  head = 0;
  indirect = false;
  /** Readable segments come first: [0, readableCount); writable ones follow: [readableCount, count). */
  count = 0;
  readableCount = 0;
  readableBytes = 0;
  writableBytes = 0;
  /** Region index in `space` and byte offset there of each segment: bounds were checked when the chain was taken. */
  readonly region = new Int32Array(MAX_CHAIN);
  readonly offset = new Float64Array(MAX_CHAIN);
  readonly length = new Float64Array(MAX_CHAIN);

  clear(): void {
    this.head = 0;
    this.indirect = false;
    this.count = 0;
    this.readableCount = 0;
    this.readableBytes = 0;
    this.writableBytes = 0;
  }
}

/**
 * Copies the readable bytes [from, from + length) of a chain into `into` at byte `at`.
 * @returns how many bytes were there (fewer than asked at the chain's end)
 */
export function readChain(_space: AddressSpace, _chain: Chain, _from: number, _into: Uint8Array, _at: number, _length: number): number {
  throw new Error('to be written');
}

/** Copies `length` bytes of `from` (at `at`) to the start of the chain's writable part. Returns bytes written. */
export function writeChain(_space: AddressSpace, _chain: Chain, _from: Uint8Array, _at: number, _length: number): number {
  throw new Error('to be written');
}
