import type { MachinePlan } from '../core/machine/plan.ts';
import { COUNTERS, Counter, Counters } from '../core/measure/counters.ts';
import { COPY_STAGES, CopyStage, Ledger } from '../core/memory/ledger.ts';

/** What a host did in one session, as `scanout host --json` prints it. Times in ns. */
export interface HostFigures {
  /** From 1. */
  readonly session: number;
  /** Why it ended; null: the host was stopped. */
  readonly why: string | null;
  /** Sums over the session, by the names of core/measure/counters.ts; those that are 0 are left out. */
  readonly counters: Readonly<Record<string, number>>;
  /** Copies of pixels and their bytes, by stage. */
  readonly copies: Readonly<Record<string, { readonly copies: number; readonly bytes: number }>>;
}

/** Session after session of a host whose counters only grow. */
export class HostAccount {
  readonly #counters: Counters;
  readonly #ledger: Ledger;
  readonly #before = new Float64Array(COUNTERS);
  readonly #copied = COPY_STAGES.map(() => ({ copies: 0, bytes: 0 }));
  #session = 0;

  constructor(plan: MachinePlan) {
    this.#counters = new Counters(plan.hostCounters);
    this.#ledger = new Ledger(plan.hostLedger);
  }

  /** Of the session that has just ended, since the one before. */
  end(why: string | null): HostFigures {
    const counters: Record<string, number> = {};
    for (const [name, index] of Object.entries(Counter)) {
      const now = this.#counters.get(index);
      const since = MAXIMA.has(index) ? now : now - this.#before[index];
      this.#before[index] = now;
      if (since !== 0) counters[name] = since;
    }
    const copies: Record<string, { copies: number; bytes: number }> = {};
    for (const [i, name] of COPY_STAGES.entries()) {
      const now = { copies: this.#ledger.copies(CopyStage[name]), bytes: this.#ledger.bytesCopied(CopyStage[name]) };
      const before = this.#copied[i];
      if (now.copies > before.copies) copies[name] = { copies: now.copies - before.copies, bytes: now.bytes - before.bytes };
      this.#copied[i] = now;
    }
    return { session: ++this.#session, why, counters, copies };
  }
}

/** Counters that are no sums. */
const MAXIMA: ReadonlySet<number> = new Set([Counter.vblankLateMaxNs, Counter.importMaxNs]);

/** Puts a session's figures where those of a host of this process would be. */
export function takeHostFigures({ counters, copies }: HostFigures, plan: MachinePlan): void {
  const cells = new Counters(plan.hostCounters);
  for (const [name, index] of Object.entries(Counter)) cells.add(index, counters[name] ?? 0);
  const ledger = new Ledger(plan.hostLedger);
  for (const name of COPY_STAGES) {
    const { copies: count = 0, bytes = 0 } = copies[name] ?? {};
    ledger.add(CopyStage[name], count, bytes);
  }
}
