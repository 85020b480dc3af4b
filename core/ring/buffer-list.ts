import * as chains from './chain.ts';

// Taken over: an imported binding is looked up at every use, a constant of the module is compiled in.
const { MAX_CHAIN } = chains;
const TWO_32 = 4294967296;
const WRITE = 2;

/** The buffers of the chain that a driver is building. Misuse throws RangeError. No allocation once made. */
export class BufferList {
  count = 0;
  readableCount = 0;
  /**
   * Four words a buffer, as in a split descriptor: address (lower and upper word), length, and WRITE or 0. In one array,
   * which the compiler looks up once for all four.
   */
  readonly words = new Int32Array(MAX_CHAIN * 4);

  clear(): void {
    this.count = 0;
    this.readableCount = 0;
  }

  readable(address: number, length: number): void {
    const { count } = this;
    if (this.readableCount !== count) throw new RangeError('a readable buffer after a writable one');
    this.add(address, length, 0, count);
    this.readableCount = count + 1;
  }

  writable(address: number, length: number): void {
    this.add(address, length, WRITE, this.count);
  }

  /** Bytes of the writable part, at most 2^32 − 1. */
  writableBytes(): number {
    let bytes = 0;
    for (let i = this.readableCount; i < this.count; i++) bytes += this.words[i * 4 + 2] >>> 0;
    return Math.min(bytes, TWO_32 - 1);
  }

  private add(address: number, length: number, flags: number, count: number): void {
    if (count === MAX_CHAIN || !(length > 0 && length < TWO_32)) throw misuse(count, length);
    const at = count << 2;
    const { words } = this;
    words[at] = address | 0;
    // Of an address that is known to be small the compiler leaves the division out.
    words[at + 1] = address < TWO_32 ? 0 : (address / TWO_32) | 0;
    words[at + 2] = length | 0;
    words[at + 3] = flags;
    this.count = count + 1;
  }
}

/** Out of line: a message made at its check makes a hot function too large to be inlined. */
function misuse(count: number, length: number): RangeError {
  return new RangeError(count === MAX_CHAIN ? `a chain has at most ${MAX_CHAIN} buffers` : `a buffer of ${length} bytes`);
}
