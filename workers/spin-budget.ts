/**
 * How long a side spins before it sleeps: as the kernel's halt polling does (virt/kvm/kvm_main.c, grow_halt_poll_ns and
 * shrink_halt_poll_ns), it doubles after a sleep that spinning for the most would have spared, and halves after one that
 * it would not have. So a side that is busy spins and never sleeps, and one that waits for the next refresh soon sleeps
 * at once. Times are in slots of an array: a double that is passed on would be boxed.
 */
export class SpinBudget {
  /** ns, to be read by the side. */
  readonly ns: Float64Array;
  /** ns, to be written by the side before `adapt`: how long it slept. */
  readonly slept = new Float64Array(1);
  readonly #most: number;

  /** @param mostNs the longest budget, which is also the first; 0: never spins */
  constructor(mostNs: number) {
    this.ns = Float64Array.of(mostNs);
    this.#most = mostNs;
  }

  /** Takes note of a sleep of `slept[0]`. */
  adapt(): void {
    const least = this.#most / 8;
    const now = this.ns[0];
    if (this.slept[0] > this.#most) this.ns[0] = now > least ? now / 2 : 0;
    else this.ns[0] = now < least ? least : Math.min(now * 2, this.#most);
  }
}
