/**
 * What a virtqueue is to its users, whatever its layout (split or packed). Neither interface allocates once
 * set up; results are left in fields.
 */
import type { Chain } from './chain.ts';

/** The driver's side of one queue (the guest). */
export interface DriverQueue {
  readonly size: number;
  /** Free ring slots (a chain in an INDIRECT table takes one). */
  readonly free: number;

  /** Starts a chain. Readable buffers are added first, then writable ones, then `submit`. */
  begin(): void;
  /** Adds a device-readable buffer. */
  readable(address: number, length: number): void;
  /** Adds a device-writable buffer. */
  writable(address: number, length: number): void;
  /**
   * Places the chain in the ring, not yet visible to the device.
   * @param token what `popUsed` gives back, 0 ≤ token < 2^31
   * @returns false when the ring has no room (nothing was placed; the chain may be submitted again later)
   */
  submit(token: number): boolean;
  /** Makes every submitted chain visible, with one ordering operation. Returns whether the device wants a kick. */
  publish(): boolean;

  /** Takes one used buffer; its token and length are then in `usedToken` and `usedLength`. */
  popUsed(): boolean;
  readonly usedToken: number;
  readonly usedLength: number;
  /** Asks for an interrupt at the next used buffer. Returns true if one is there already (poll again). */
  enableInterrupts(): boolean;
  disableInterrupts(): void;
}

/** The device's side of one queue (the host). */
export interface DeviceQueue {
  readonly size: number;

  /**
   * Takes the next available chain into `chain` (a snapshot of its descriptors).
   * @returns false when there is none
   * @throws RingError when the ring itself is broken (the device then needs a reset)
   */
  pop(chain: Chain): boolean;
  /**
   * Returns a chain. `written`: bytes written to its writable part. Visible to the driver after `publish`; with IN_ORDER
   * after the first `publish` by which every chain taken before it was returned too.
   */
  push(head: number, written: number): void;
  /** Makes every pushed chain visible, with one ordering operation. Returns whether the driver wants an interrupt. */
  publish(): boolean;
  /** Asks for a kick at the next available chain. Returns true if one is there already (poll again). */
  enableKicks(): boolean;
  disableKicks(): void;
  /** Chains taken and not returned yet. */
  readonly inFlight: number;
  /** Where it stands, as `QueueConfig.base`: a queue that is made with it, while nothing is in flight, goes on from here. */
  readonly base: number;
}

/** Where a queue lies and what was negotiated for it. */
export interface QueueConfig {
  readonly size: number;
  /**
   * Guest-physical addresses. Split: descriptor table, available ring, used ring. Packed: descriptor ring, driver event
   * suppression, device event suppression.
   */
  readonly descriptorAddress: number;
  readonly driverAddress: number;
  readonly deviceAddress: number;
  readonly indirect: boolean;
  readonly eventIdx: boolean;
  /** IN_ORDER was negotiated: buffers are used in the order they were made available. Default false. */
  readonly inOrder?: boolean;
  /**
   * Device side: where a queue that ran before goes on, u32 (vhost-user's vring base). Split: the available index in bits
   * 0–15, which the used index is equal to. Packed: the next available slot in bits 0–14, its wrap counter in bit 15, the next
   * slot to use and its wrap counter likewise in bits 16–31. Absent: a new queue.
   */
  readonly base?: number;
}

/** A broken ring: the driver's only way to end the device (virtio 1.3 § 2.1.2, DEVICE_NEEDS_RESET). */
export class RingError extends Error {
  /** The rule that was broken, as a short stable word (for counters and tests). */
  readonly rule: string;
  constructor(rule: string, message: string) {
    super(message);
    this.name = 'RingError';
    this.rule = rule;
  }
}
