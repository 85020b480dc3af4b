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
  /** The path's copies a frame: the guest's readback, the host's transfer. 0: it has none. */
  transferUs: number;
  /** CPU time a frame of the encode thread: putting scattered pieces together, converting the colours, encoding. */
  gatherCpuUs: number;
  conversionCpuUs: number;
  encodingCpuUs: number;
  /** From the submission (at a fixed rate: from when the frame was due) until the packet is out. Null: no frame. */
  submitToPacketUs: Distribution | null;
  /** How long the encoder reads the guest's buffer. */
  heldUs: Distribution | null;
  /** Buffers that were given back after their packet was out, in the whole session. */
  releasedLate: number;
  /** Packets that were out before the guest had seen its buffer given back. */
  seenLate: number;
  /** Mean size. */
  packetBytes: number;
  /** By the encode thread, in the whole session: scattered pieces put together, and what the encoder takes in for itself. */
  bytesCopied: { gather: number; encoder: number };
}

export interface ScenarioEncoder {
  /** The library's encoder and its settings. */
  name: string;
  /** Hardware that the library could open here, such as vaapi or cuda. It was not used. */
  devices: string[];
  /** Frames a second and head at most; null: no bound. */
  maxRefreshHz: number | null;
  /** Frames encoded a second over those of the encoder by itself, repetition by repetition. Null: not measured. */
  toAlone: RatioInterval | null;
}
