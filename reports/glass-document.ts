/** Frames of a stream that a browser showed. */
export interface GlassMetrics {
  /** Frames of the measured part that were drawn with their number readable; those a second. */
  shown: number;
  fps: number;
  /** All of the guest's frames in the measured part: those not shown have no time, and are in no percentile. Absent in older runs. */
  guestFrames?: number;
  /** Frames that the browser was not sent, in the whole session, because too much waited for it. */
  lost: number;
  /** Pictures that bore a smaller number than the one before, in the whole session. */
  backwards: number;
  /**
   * Glass to glass, µs: from the frame's submission (at a fixed rate: from when it was due) until the page had drawn its picture
   * on the canvas; what the browser's compositor and the display then take is not in it.
   */
  p50Us: number;
  p99Us: number;
  /** The most that the estimate of the two clocks' offset can be wrong by, µs: half of the shortest round trip. */
  offsetErrorUs: number;
}
