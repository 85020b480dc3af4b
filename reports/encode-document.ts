import type { Distribution, RatioInterval } from './run-document.ts';

/** Frames that became packets at a sink `encode`. */
export interface EncodeMetrics {
  framesEncoded: number;
  /** Frames of the whole session that gave way to later ones before the encoder came to them. */
  framesSuperseded: number;
  /** Packets over wall time. */
  fps: number;
  /** What the encoder reached by itself with a still picture just before; null: not measured. */
  aloneFps: number | null;
  /**
   * The path's copies a frame, elapsed: the guest's readback (until it submits; at a fixed rate from when the frame was due, a late
   * wake-up included), the host's transfer. 0: it has none.
   */
  transferUs: number;
  /** CPU time a frame of the encode thread: putting scattered pieces together, converting the colours, encoding. */
  gatherCpuUs: number;
  conversionCpuUs: number;
  encodingCpuUs: number;
  /** From the submission (at a fixed rate: from when the frame was due) until the packet is out. Null: no frame. */
  submitToPacketUs: Distribution | null;
  /** How long the encoder reads the guest's buffer: from when it takes the frame, not from when it was offered. */
  heldUs: Distribution | null;
  /** Buffers that were given back after their packet was out, in the whole session. */
  releasedLate: number;
  /** Packets that were out before the guest had seen the fence that gives its buffer back; 0 where it waits for none (copies). */
  seenLate: number;
  /** Mean size. */
  packetBytes: number;
  /** By the encode thread, in the whole session: scattered pieces put together, and what the encoder takes in for itself. */
  bytesCopied: { gather: number; encoder: number };
}

export interface ScenarioEncoder {
  /** The library's encoder and its settings. */
  name: string;
  /** Hardware that has encoded. Without `notUsed`: hardware that could be opened, and was not used. */
  devices: string[];
  /** Hardware that was to encode a frame first, and why it has not; in runs from before it was: absent. */
  notUsed?: string[];
  /** Frames a second and head at most; null: no bound. */
  maxRefreshHz: number | null;
  /** Frames encoded a second over those of the encoder by itself, repetition by repetition. Null: not measured. */
  toAlone: RatioInterval | null;
}
