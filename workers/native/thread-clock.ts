import { Libc } from './libc.ts';

const CLOCK_THREAD_CPUTIME_ID = 3;

/**
 * CPU time of the calling thread between two points of its work. The kernel's rusage, which is all that Node tells, stands still
 * from tick to tick (4 ms at 250 Hz) while a thread runs: what is shorter is told by the C library's clock.
 */
export class ThreadClock {
  readonly #libc: Libc | null;
  readonly #time = new BigInt64Array(2);
  readonly #words = new Uint32Array(this.#time.buffer);
  #last: number;

  constructor() {
    const libc = Libc.load();
    this.#libc = typeof libc === 'string' ? null : libc;
    this.#last = this.#read();
  }

  /** CPU time since it was asked last, or made, ns. Without koffi as exact as a tick. */
  lap(): number {
    const before = this.#last;
    this.#last = this.#read();
    return this.#last - before;
  }

  #read(): number {
    if (this.#libc === null) {
      const { user, system } = process.threadCpuUsage();
      return (user + system) * 1000;
    }
    this.#libc.clockGettime(CLOCK_THREAD_CPUTIME_ID, this.#time);
    return this.#words[0] * 1e9 + this.#words[2];
  }
}
