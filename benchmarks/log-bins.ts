import type { LogHistogram } from '../reports/run-document.ts';

/** 2.3% from one bin to the next: finer than a drawing can show. */
const BINS_PER_DECADE = 100;
/** Bins of 1 ns to 1 µs. */
const BINS_BELOW_1_US = 3 * BINS_PER_DECADE;

/** How many times were how long, in bins that are equally wide on a logarithmic scale. */
export class LogBins {
  readonly #counts = new Map<number, number>();

  /** @param ns below 1 counts as 1, as in the HDR histograms */
  record(ns: number): void {
    const bin = Math.floor(Math.log10(Math.max(1, ns)) * BINS_PER_DECADE) - BINS_BELOW_1_US;
    this.#counts.set(bin, (this.#counts.get(bin) ?? 0) + 1);
  }

  add(other: LogBins): void {
    for (const [bin, count] of other.#counts) this.#counts.set(bin, (this.#counts.get(bin) ?? 0) + count);
  }

  /** As the run document has it; null: nothing was recorded. */
  histogram(): LogHistogram | null {
    if (this.#counts.size === 0) return null;
    const bins = [...this.#counts.keys()];
    const firstBin = Math.min(...bins);
    const counts = Array.from({ length: Math.max(...bins) - firstBin + 1 }, (_, i) => this.#counts.get(firstBin + i) ?? 0);
    return { binsPerDecade: BINS_PER_DECADE, firstBin, counts };
  }
}
