import type { EncodeMetrics } from '../../reports/encode-document.ts';

/** Figures of an encoder, all of them. */
export function encodeMetrics(): EncodeMetrics {
  const times = { p50: 9000, p90: 10_000, p99: 12_000, p999: 14_000, max: 15_000 };
  return {
    framesEncoded: 300,
    framesSuperseded: 0,
    fps: 98.5,
    aloneFps: 104,
    transferUs: 0,
    gatherCpuUs: 0,
    conversionCpuUs: 3200,
    encodingCpuUs: 5100,
    submitToPacketUs: times,
    heldUs: { ...times, p50: 3300 },
    releasedLate: 0,
    seenLate: 2,
    packetBytes: 4200,
    bytesCopied: { gather: 0, encoder: 300 * 1920 * 1080 * 1.5 },
  };
}
