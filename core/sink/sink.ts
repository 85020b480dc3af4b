import type { SegmentList } from '../memory/segments.ts';

/** What a scanout shows: a rectangle of a buffer, where it lies. */
export interface ScanoutImage {
  /** Pixels. */
  width: number;
  height: number;
  /** Bytes from one row to the next. */
  stride: number;
  /** Byte offset of the first pixel in the buffer. */
  offset: number;
  /** VIRTIO_GPU_FORMAT_*. */
  format: number;
  /** The bytes: an import's segments, or the host's own copy. */
  segments: SegmentList;
  /** True: the guest's own pages (dma-buf); false: the host's copy, which a display has to upload. */
  imported: boolean;
  resourceId: number;
}

/**
 * What takes a presented frame. Runs inside the host's poll loop and never blocks; an asynchronous one has a
 * thread of its own behind `present` and `pollReleases`. Times are ns on the session's timeline; the present time is
 * passed as the slot that holds it (`now[0]`), because a double passed by value would be boxed.
 */
export interface Sink {
  /** The scanout shows `image` from the next present on; null: disabled. What it is reading now it may finish. */
  setScanout(scanout: number, image: ScanoutImage | null): void;
  /**
   * A flush: show the scanout's current image. `frame` is the flush's number, given back at its release.
   * A frame that was not yet shown is superseded: released at once, marked.
   */
  present(scanout: number, frame: number, now: Float64Array): void;
  /**
   * Makes time pass: shows what is due, ends what has been read. Released flushes are then in
   * `releasedScanout`, `releasedFrame` and `releasedFlags` (FrameFlag), `presentedNs`, `releasedNs`, `vblank` [0, count).
   */
  pollReleases(now: Float64Array): number;
  readonly releasedScanout: Int32Array;
  readonly releasedFrame: Int32Array;
  readonly releasedFlags: Int32Array;
  /** When the sink began to show it, ns; 0: never (superseded or stopped). */
  readonly presentedNs: Float64Array;
  readonly releasedNs: Float64Array;
  /** The sink's vblank index + 1 at which it was shown; 0: not shown, or unpaced. */
  readonly vblank: Float64Array;
  /** Stop reading this resource now: its frames are released by the next `pollReleases`. */
  stop(resourceId: number): void;
  /** True while a flush of this resource is held (not yet released), or its buffer is read though its flush was released. */
  holds(resourceId: number): boolean;
  /** When `pollReleases` next has something to do by itself: in `deadline[0]`, ns; Infinity: never. */
  readonly deadline: Float64Array;
}
