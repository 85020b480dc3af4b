import type { GlassMetrics } from '../../reports/glass-document.ts';

/** Figures of a browser that showed a stream, all of them. */
export const glassMetrics = (): GlassMetrics => ({
  shown: 118,
  fps: 29.6,
  guestFrames: 120,
  lost: 3,
  backwards: 0,
  p50Us: 47_200,
  p99Us: 71_900,
  offsetErrorUs: 175,
});
