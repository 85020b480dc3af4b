/**
 * What happened to each frame, in shared memory: one row a frame, one number a column, times in nanoseconds
 * on the session's timeline (0: did not happen). The guest and the host count frames of a head separately
 * (the guest its FLUSH commands, the host those it pops), so that both know the row without a word on the wire.
 * Each column has one writer. Statistics are drawn from the log after the run, never during it.
 */

/** Columns of a row. G: written by the guest thread, H: by the host thread. */
export const FrameColumn = {
  /** G. When the frame was due to begin (open loop) or began (closed loop). */
  scheduled: 0,
  /** G */
  renderStart: 1,
  /** G */
  renderEnd: 2,
  /** G. Just before the frame's commands are published on the ring. */
  submit: 3,
  /** G. The flush fence was seen (with RESOURCE_BLOB). 0 without. */
  fenceSeen: 4,
  /** G. The TRANSFER's response was seen (without RESOURCE_BLOB). 0 with. */
  responseSeen: 5,
  /** G. A `FrameFlag` set. */
  guestFlags: 6,
  /** H. The host took the frame's first command (TRANSFER or SET_SCANOUT or FLUSH, whichever came first). */
  pickup: 7,
  /** H. Import or transfer finished (ns of work, not a time). */
  transferNs: 8,
  /** H. FLUSH handed the frame to the sink. */
  flush: 9,
  /** H. The sink began to show it (a superseded frame: 0). */
  present: 10,
  /** H. The sink's last read for this flush. */
  release: 11,
  /** H. The host's work for this frame, ns. */
  hostService: 12,
  /** H. A `FrameFlag` set. */
  hostFlags: 13,
  /** G. The guest's work for this frame (driver + compositor, without waiting), ns. */
  guestService: 14,
  /** H. Index of the sink's vblank at which it was presented, +1 (0: none or unpaced). */
  vblank: 15,
} as const;
export const FRAME_COLUMNS = 16;

export const FrameFlag = {
  /** The guest's 50 ms wait ran out. */
  timedOut: 1,
  /** Another frame took its place before the sink showed it. */
  superseded: 2,
  /** The verify sink looked at it. */
  verified: 4,
  /** ... and found it torn. */
  torn: 8,
  /** prepare_fb mapped the buffer anew (after move_notify). */
  reattached: 16,
  /** A vblank or release was dealt with more than 1 ms after its time: the machine got in the way. */
  late: 32,
  /** The device was reset before the answer came. */
  cancelled: 64,
} as const;

export class FrameLog {
  readonly heads: number;
  readonly capacity: number;
  readonly cells: Float64Array;

  static bytes(heads: number, capacity: number): number {
    return heads * capacity * FRAME_COLUMNS * 8;
  }

  /** @param buffer at least `bytes(heads, capacity)` long @param capacity rows a head, a power of two; older rows are overwritten */
  constructor(buffer: SharedArrayBuffer, heads: number, capacity: number) {
    if (capacity < 1 || (capacity & (capacity - 1)) !== 0) throw new RangeError(`frame log capacity ${capacity} is not a power of two`);
    if (buffer.byteLength < FrameLog.bytes(heads, capacity)) throw new RangeError('frame log buffer too small');
    this.heads = heads;
    this.capacity = capacity;
    this.cells = new Float64Array(buffer, 0, heads * capacity * FRAME_COLUMNS);
  }

  /** Index in `cells` of the row of a head's frame `sequence` (counted from 0). */
  row(head: number, sequence: number): number {
    return (head * this.capacity + (sequence & (this.capacity - 1))) * FRAME_COLUMNS;
  }

  /** Guest side, before a frame begins: clears the row for its new frame. */
  begin(head: number, sequence: number): number {
    const at = this.row(head, sequence);
    this.cells.fill(0, at, at + FRAME_COLUMNS);
    return at;
  }
}
