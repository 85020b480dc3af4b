import { MAX_CHAIN } from './chain.ts';
import { TWO_32 } from './split/layout.ts';

/** The buffers of the chain that a driver is building. Misuse throws RangeError. No allocation once made. */
export class BufferList {
  count = 0;
  readableCount = 0;
  /** Address (low and high half) and length of each. */
  readonly lo = new Uint32Array(MAX_CHAIN);
  readonly hi = new Uint32Array(MAX_CHAIN);
  readonly length = new Uint32Array(MAX_CHAIN);

  clear(): void {
    this.count = 0;
    this.readableCount = 0;
  }

  readable(address: number, length: number): void {
    if (this.readableCount !== this.count) throw new RangeError('a readable buffer after a writable one');
    this.writable(address, length);
    this.readableCount = this.count;
  }

  writable(address: number, length: number): void {
    const at = this.count;
    if (at === MAX_CHAIN) throw new RangeError(`a chain has at most ${MAX_CHAIN} buffers`);
    if (!(length > 0 && length < TWO_32)) throw new RangeError(`a buffer of ${length} bytes`);
    const hi = Math.floor(address / TWO_32);
    this.hi[at] = hi;
    this.lo[at] = address - hi * TWO_32;
    this.length[at] = length;
    this.count = at + 1;
  }
}
