/**
 * What became of each frame that was encoded, in shared memory: a row a frame, a number a column, times in ns on the session's
 * timeline. Written by the encode thread alone, read after the run.
 */
export const EncodeColumn = {
  head: 0,
  frame: 1,
  /** It was taken. */
  taken: 2,
  /** The guest's bytes are read no more: the host is told so. */
  released: 3,
  /** The packet is out. */
  packet: 4,
  /** Thread CPU time, ns: putting scattered pieces together, converting the colours, encoding. */
  gatherNs: 5,
  convertNs: 6,
  encodeNs: 7,
  /** Of the packet. */
  bytes: 8,
  /** 1: decoding can begin with it. */
  key: 9,
} as const;
const COLUMNS = 16;
const ROWS = 16384;
/** Before the rows: how many were ever written. */
const HEADER = 16;

export class EncodeLog {
  static readonly bytes = (HEADER + ROWS * COLUMNS) * 8;
  readonly cells: Float64Array;

  constructor(buffer: SharedArrayBuffer) {
    this.cells = new Float64Array(buffer);
  }

  /** Rows ever written; of more than `capacity` the oldest are gone. */
  get count(): number {
    return this.cells[0];
  }

  get capacity(): number {
    return ROWS;
  }

  /** Index in `cells` of row `index`. */
  row(index: number): number {
    return HEADER + (index % ROWS) * COLUMNS;
  }

  /** The next row, to be filled and then counted by `added`. */
  get next(): number {
    return this.row(this.cells[0]);
  }

  added(): void {
    this.cells[0] += 1;
  }
}
