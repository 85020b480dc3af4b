import { type MachinePlan, SessionWord } from '../../core/machine/plan.ts';
import { Counter, Counters } from '../../core/measure/counters.ts';
import { FRAME_COLUMNS, FrameColumn, FrameLog } from '../../core/measure/frame-log.ts';
import { CopyStage, Ledger } from '../../core/memory/ledger.ts';
import { EncodeColumn, EncodeLog } from '../encode/encode-log.ts';
import type { EncodeShare } from '../encode/link.ts';
import type { CopiedRates, ViewFigures } from './messages.ts';

/** Frames that latencies are drawn from: those of so long, ns. */
const WINDOW_NS = 2e9;

/** A guest of another program: of it is known what its host counts and writes down, and maybe its processor time. */
export interface OtherGuest {
  /** ns, so far; null: not known. */
  cpuNs(): number | null;
}

/** What is read at two points, to say what was between. */
interface Totals {
  readonly atNs: number;
  readonly flushes: number;
  readonly presented: number;
  readonly imported: number;
  readonly importedDevice: number;
  readonly encoded: number;
  readonly encoderNs: number;
  readonly guestNs: number | null;
  readonly hostNs: number | null;
  readonly bytes: CopiedRates;
}

/** What a running machine says of itself, a few times a second: read from what its threads write anyway. */
export class ViewMeter {
  /** Of the machine's encode thread, once it runs. */
  encoder: EncodeShare | null = null;
  readonly #nowNs: () => number;
  readonly #cpuOfTask: (task: number) => number | null;
  readonly #other: OtherGuest | null;
  readonly #guest: Counters;
  readonly #host: Counters;
  readonly #ledgers: readonly Ledger[];
  readonly #log: FrameLog;
  readonly #tasks: Int32Array;
  #encoderNs = 0;
  #encodedRows = 0;
  #last: Totals;
  /** When the guest began that is measured now, and what had been counted by then. */
  #sinceNs = Number.NEGATIVE_INFINITY;
  #refusedBefore = 0;

  /**
   * @param nowNs on the session's timeline
   * @param cpuOfTask a thread's CPU time, ns; null: not known
   * @param other whose guest it is; null: the machine's own, which counts and writes down what it does itself
   */
  constructor(plan: MachinePlan, nowNs: () => number, cpuOfTask: (task: number) => number | null, other: OtherGuest | null = null) {
    this.#nowNs = nowNs;
    this.#cpuOfTask = cpuOfTask;
    this.#other = other;
    this.#guest = new Counters(plan.guestCounters);
    this.#host = new Counters(plan.hostCounters);
    this.#ledgers = [new Ledger(plan.guestLedger), new Ledger(plan.hostLedger)];
    this.#log = new FrameLog(plan.frameLog, plan.options.heads, plan.options.logCapacity);
    this.#tasks = new Int32Array(plan.control);
    this.#last = this.#totals();
  }

  /** Another guest: what was before is not its. */
  restart(): void {
    this.#last = this.#totals();
    this.#sinceNs = this.#last.atNs;
    this.#refusedBefore = this.#host.get(Counter.importFallbacks);
  }

  /** Frames shown and bytes copied before the encoder so far. */
  total(): { readonly frames: number; readonly copied: number } {
    const { presented, bytes } = this.#totals();
    return { frames: presented, copied: beforeEncoder(bytes) };
  }

  /** Since it was asked last. */
  figures(): ViewFigures {
    const before = this.#last;
    const now = this.#totals();
    this.#last = now;
    const seconds = Math.max(now.atNs - before.atNs, 1) / 1e9;
    const rate = (from: number, to: number): number => (to - from) / seconds;
    const share = (from: number | null, to: number | null): number | null =>
      from === null || to === null ? null : (to - from) / seconds / 1e9;
    const by: CopiedRates = {
      readback: rate(before.bytes.readback, now.bytes.readback),
      transfer: rate(before.bytes.transfer, now.bytes.transfer),
      fallback: rate(before.bytes.fallback, now.bytes.fallback),
      upload: rate(before.bytes.upload, now.bytes.upload),
      migrate: rate(before.bytes.migrate, now.bytes.migrate),
      gather: rate(before.bytes.gather, now.bytes.gather),
      encoder: rate(before.bytes.encoder, now.bytes.encoder),
    };
    const shown = this.#shownTimes(Math.max(now.atNs - WINDOW_NS, this.#sinceNs));
    return {
      guestFps: rate(before.flushes, now.flushes),
      presentedFps: rate(before.presented, now.presented),
      encodedFps: rate(before.encoded, now.encoded),
      p50: quantile(shown.present, 0.5),
      p99: quantile(shown.present, 0.99),
      copied: beforeEncoder(by),
      by,
      imported: rate(before.imported, now.imported),
      importedDevice: rate(before.importedDevice, now.importedDevice),
      importsRefused: this.#host.get(Counter.importFallbacks) - this.#refusedBefore,
      stages: {
        draw: quantile(shown.draw, 0.5),
        pickup: quantile(shown.pickup, 0.5),
        present: quantile(shown.present, 0.5),
        answer: quantile(shown.answer, 0.5),
        encode: now.encoded > before.encoded ? (now.encoderNs - before.encoderNs) / (now.encoded - before.encoded) / 1e6 : null,
      },
      cpu: {
        guest: share(before.guestNs, now.guestNs),
        host: share(before.hostNs, now.hostNs),
        encoder: rate(before.encoderNs, now.encoderNs) / 1e9,
      },
      moves: this.#other === null ? this.#guest.get(Counter.moves) : null,
    };
  }

  #totals(): Totals {
    this.#readEncoder();
    const bytes = (stage: CopyStage): number => {
      const encoder = this.encoder === null ? 0 : new Ledger(this.encoder.ledger).bytesCopied(stage);
      return this.#ledgers.reduce((sum, ledger) => sum + ledger.bytesCopied(stage), encoder);
    };
    return {
      atNs: this.#nowNs(),
      flushes: (this.#other === null ? this.#guest : this.#host).get(Counter.flushes),
      presented: this.#host.get(Counter.framesPresented),
      imported: this.#host.get(Counter.framesImported),
      importedDevice: this.#host.get(Counter.framesImportedFromDevice),
      encoded: this.#encodedRows,
      encoderNs: this.#encoderNs,
      guestNs: this.#other === null ? this.#cpu(SessionWord.guestTask) : this.#other.cpuNs(),
      hostNs: this.#cpu(SessionWord.hostTask),
      bytes: {
        readback: bytes(CopyStage.readback),
        transfer: bytes(CopyStage.transfer),
        fallback: bytes(CopyStage.fallback),
        upload: bytes(CopyStage.upload),
        migrate: bytes(CopyStage.migrate),
        gather: bytes(CopyStage.gather),
        encoder: bytes(CopyStage.encoder),
      },
    };
  }

  /** Adds what the encode thread has written down since: the log keeps the newest rows alone. */
  #readEncoder(): void {
    if (this.encoder === null) return;
    const log = new EncodeLog(this.encoder.log);
    const { count, capacity, cells } = log;
    for (let i = Math.max(this.#encodedRows, count - capacity); i < count; i++) {
      const row = log.row(i);
      this.#encoderNs += cells[row + EncodeColumn.gatherNs] + cells[row + EncodeColumn.convertNs] + cells[row + EncodeColumn.encodeNs];
    }
    this.#encodedRows = count;
  }

  #cpu(word: number): number | null {
    const task = Atomics.load(this.#tasks, word);
    return task === 0 ? null : this.#cpuOfTask(task);
  }

  /** ms, ascending, of frames that the sink began to show after `sinceNs`. Of another program's guest they begin when its host took them. */
  #shownTimes(sinceNs: number): Record<'draw' | 'pickup' | 'present' | 'answer', Float64Array> {
    const { cells } = this.#log;
    const found = { draw: [] as number[], pickup: [] as number[], present: [] as number[], answer: [] as number[] };
    const isOwn = this.#other === null;
    for (let row = 0; row < cells.length; row += FRAME_COLUMNS) {
      const present = cells[row + FrameColumn.present];
      const begin = cells[row + (isOwn ? FrameColumn.submit : FrameColumn.pickup)];
      // RACE: both threads write; a row that begins anew between two reads shows as a time that lies before its submission.
      if (present <= sinceNs || begin === 0 || present < begin) continue;
      found.present.push((present - begin) / 1e6);
      const seen = cells[row + FrameColumn.fenceSeen] || cells[row + FrameColumn.responseSeen];
      const answered = isOwn ? seen : cells[row + FrameColumn.release];
      if (answered >= begin) found.answer.push((answered - begin) / 1e6);
      if (!isOwn) continue;
      found.draw.push((cells[row + FrameColumn.renderEnd] - cells[row + FrameColumn.renderStart]) / 1e6);
      found.pickup.push((cells[row + FrameColumn.pickup] - begin) / 1e6);
    }
    const sorted = (list: number[]): Float64Array => Float64Array.from(list).sort();
    return { draw: sorted(found.draw), pickup: sorted(found.pickup), present: sorted(found.present), answer: sorted(found.answer) };
  }
}

/** What the path copies: moves and cursors are not of it. */
const beforeEncoder = ({ readback, transfer, fallback, upload, gather }: CopiedRates): number =>
  readback + transfer + fallback + upload + gather;

function quantile(sorted: Float64Array, part: number): number | null {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? null;
}
