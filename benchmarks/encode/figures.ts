import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import type { MachinePlan } from '../../core/machine/plan.ts';
import { FrameColumn, FrameLog } from '../../core/measure/frame-log.ts';
import { CopyStage, Ledger } from '../../core/memory/ledger.ts';
import type { EncodeMetrics } from '../../reports/encode-document.ts';
import type { Distribution } from '../../reports/run-document.ts';
import { EncodeColumn, EncodeLog } from '../../workers/encode/encode-log.ts';
import type { AloneReport } from '../../workers/encode/encode-task.ts';
import type { EncodeShare } from '../../workers/encode/link.ts';
import type { GuestReport } from '../../workers/task.ts';

/** What an encode thread wrote down in the measured time of one repetition, or of several together. */
export class EncodeFigures {
  /** Packets, and the time in which they came out. */
  packets = 0;
  superseded = 0;
  wallNs = 0;
  bytes = 0;
  gatherNs = 0;
  convertNs = 0;
  encodeNs = 0;
  /** Work of the path's own copies, and the frames that it was for. */
  transferNs = 0;
  transferred = 0;
  /** Buffers that were given back after their packet was out; the ledger's bytes, and the frames of the whole session. */
  releasedLate = 0;
  /** Packets of frames that the guest waits for a fence of; those that were out before the guest had seen it. */
  fenced = 0;
  seenLate = 0;
  gatheredBytes = 0;
  encoderBytes = 0;
  encoderCopies = 0;
  /** null: not measured. */
  aloneFps: number | null = null;
  readonly toPacket: RecordableHistogram = histogram();
  readonly held: RecordableHistogram = histogram();

  add(other: EncodeFigures): void {
    this.packets += other.packets;
    this.superseded += other.superseded;
    this.wallNs += other.wallNs;
    this.bytes += other.bytes;
    this.gatherNs += other.gatherNs;
    this.convertNs += other.convertNs;
    this.encodeNs += other.encodeNs;
    this.transferNs += other.transferNs;
    this.transferred += other.transferred;
    this.releasedLate += other.releasedLate;
    this.fenced += other.fenced;
    this.seenLate += other.seenLate;
    this.gatheredBytes += other.gatheredBytes;
    this.encoderBytes += other.encoderBytes;
    this.encoderCopies += other.encoderCopies;
    this.toPacket.add(other.toPacket);
    this.held.add(other.held);
  }

  /** @param aloneFps of the encoder by itself, where several repetitions' are one */
  metrics(aloneFps: number | null = this.aloneFps): EncodeMetrics {
    const each = (ns: number, frames: number): number => (frames === 0 ? 0 : ns / frames / 1000);
    return {
      framesEncoded: this.packets,
      framesSuperseded: this.superseded,
      fps: this.wallNs === 0 ? 0 : (this.packets / this.wallNs) * 1e9,
      aloneFps,
      transferUs: each(this.transferNs, this.transferred),
      gatherCpuUs: each(this.gatherNs, this.packets),
      conversionCpuUs: each(this.convertNs, this.packets),
      encodingCpuUs: each(this.encodeNs, this.packets),
      submitToPacketUs: distribution(this.toPacket),
      heldUs: distribution(this.held),
      releasedLate: this.releasedLate,
      seenLate: this.seenLate,
      packetBytes: this.packets === 0 ? 0 : this.bytes / this.packets,
      bytesCopied: { gather: this.gatheredBytes, encoder: this.encoderBytes },
    };
  }
}

/**
 * Reads what a finished machine's encode thread wrote down.
 * @param transferNs work of the copies of the frames presented, ns @param transferred those frames
 */
export function encodeFigures(
  plan: MachinePlan,
  guest: GuestReport,
  share: EncodeShare,
  alone: AloneReport | null,
  transferNs: number,
  transferred: number,
): EncodeFigures {
  const { options } = plan;
  const figures = new EncodeFigures();
  const log = new EncodeLog(share.log);
  const frames = new FrameLog(plan.frameLog, options.heads, options.logCapacity);
  for (let i = Math.max(0, log.count - log.capacity); i < log.count; i++) {
    const at = (column: number): number => log.cells[log.row(i) + column];
    const packet = at(EncodeColumn.packet);
    const released = at(EncodeColumn.released);
    if (released > packet) figures.releasedLate++;
    if (packet < guest.startNs || packet > guest.endNs) continue;
    const head = at(EncodeColumn.head);
    const frame = at(EncodeColumn.frame);
    const row = frames.row(head, frame);
    // Of a guest that is much faster than the encoder the row may be a later frame's by now.
    const kept = frame + options.logCapacity >= guest.totalFrames[head];
    const submit = kept ? frames.cells[row + (options.rateHz === null ? FrameColumn.submit : FrameColumn.scheduled)] : 0;
    const seen = kept ? frames.cells[row + FrameColumn.fenceSeen] : 0;
    // Of a copy (and without fences) it waits for none.
    if (seen > 0) figures.fenced++;
    if (seen > packet) figures.seenLate++;
    figures.packets++;
    figures.bytes += at(EncodeColumn.bytes);
    figures.gatherNs += at(EncodeColumn.gatherNs);
    figures.convertNs += at(EncodeColumn.convertNs);
    figures.encodeNs += at(EncodeColumn.encodeNs);
    figures.held.record(Math.max(1, Math.round(released - at(EncodeColumn.taken))));
    if (submit > 0) figures.toPacket.record(Math.max(1, Math.round(packet - submit)));
  }
  figures.superseded = Math.max(0, guest.totalFrames.reduce((a, b) => a + b, 0) - log.count);
  figures.wallNs = guest.endNs - guest.startNs;
  figures.transferNs = transferNs;
  figures.transferred = transferred;
  const ledger = new Ledger(share.ledger);
  figures.gatheredBytes = ledger.bytesCopied(CopyStage.gather);
  figures.encoderBytes = ledger.bytesCopied(CopyStage.encoder);
  figures.encoderCopies = ledger.copies(CopyStage.encoder);
  figures.aloneFps = alone === null ? null : (alone.frames / alone.ns) * 1e9;
  return figures;
}

function histogram(): RecordableHistogram {
  return createHistogram({ lowest: 1, highest: 100e9, figures: 3 });
}

function distribution(of: RecordableHistogram): Distribution | null {
  if (of.count === 0) return null;
  const at = (percent: number): number => of.percentile(percent) / 1000;
  return { p50: at(50), p90: at(90), p99: at(99), p999: at(99.9), max: of.max / 1000 };
}
