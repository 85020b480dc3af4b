import type { Clock } from '../../core/measure/clock.ts';
import type { Copier } from '../../core/memory/copier.ts';
import { CopyStage, type Ledger } from '../../core/memory/ledger.ts';
import { EncodeColumn, type EncodeLog } from './encode-log.ts';
import { Encoder, type Slices } from './encoder.ts';
import type { NodeAv } from './node-av.ts';
import type { Offers } from './offers.ts';
import type { Picture, Pictures } from './pictures.ts';

export interface FrameEncoderParts {
  readonly av: NodeAv;
  readonly offers: Offers;
  readonly pictures: Pictures;
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly copier: Copier;
  readonly log: EncodeLog;
  /** Wakes the host: a frame was given back. */
  readonly wakeHost: () => void;
  /** Given each packet, valid until it returns, its frame and what has encoded it; null: nobody wants them. */
  readonly take: ((head: number, packet: Buffer, frame: number, encoder: Encoder) => void) | null;
}

/** Encodes one frame after the other: reads the guest's bytes, gives them back, then encodes what it has read. */
export class FrameEncoder {
  readonly #parts: FrameEncoderParts;
  /** By head. */
  readonly #encoders: (Encoder | null)[] = [];
  readonly #takes: ((packet: Buffer) => void)[] = [];
  /** By head: the frame that its encoder has converted last, whole; −1: none. */
  readonly #converted: number[] = [];
  /** CPU time of the thread at the last look, µs. */
  #cpu = 0;

  constructor(parts: FrameEncoderParts) {
    this.#parts = parts;
  }

  /** Encodes the frame that was just taken; `clock.slot` says when. @throws Error what FFmpeg refuses */
  encodeTaken(): void {
    const { offers, pictures, clock, log, ledger } = this.#parts;
    const { head, frame } = offers;
    const cells = log.cells;
    const row = log.next;
    cells[row + EncodeColumn.head] = head;
    cells[row + EncodeColumn.frame] = frame;
    cells[row + EncodeColumn.taken] = clock.slot[0];
    this.#lap();
    const picture = pictures.get(offers.image);
    const encoder = picture === null ? null : this.#encoderFor(head, picture);
    let read = false;
    let slices: Slices | null = null;
    if (picture !== null && encoder !== null) {
      slices = picture.inPlace;
      if (slices === null) {
        slices = this.#gather(encoder, picture);
        cells[row + EncodeColumn.gatherNs] = this.#lap() * 1000;
        this.#release(true, row);
        read = true;
      } else {
        cells[row + EncodeColumn.gatherNs] = 0;
      }
      this.#converted[head] = -1;
      for (let i = 0; i < slices.rows.length; i++) {
        if (!read && offers.aborted) {
          slices = null;
          break;
        }
        encoder.convert(slices, i);
      }
      cells[row + EncodeColumn.convertNs] = this.#lap() * 1000;
    }
    if (!read) this.#release(slices !== null, row);
    if (slices === null || encoder === null) return;
    this.#converted[head] = frame;
    encoder.encode(this.#takeOf(head), offers.takeKeyWish(head));
    // libx264 has taken the picture into memory of its own, whatever became of it.
    ledger.charge(CopyStage.encoder, encoder.pictureBytes);
    cells[row + EncodeColumn.encodeNs] = this.#lap() * 1000;
    clock.read();
    cells[row + EncodeColumn.packet] = clock.slot[0];
    cells[row + EncodeColumn.bytes] = encoder.bytes;
    cells[row + EncodeColumn.key] = encoder.isKey ? 1 : 0;
    log.added();
  }

  /** Encodes the heads again of which a key frame is wanted and no frame is due, from what was converted: no byte of the guest is read. */
  encodeWanted(): void {
    const { offers, ledger } = this.#parts;
    for (let head = 0; head < this.#encoders.length; head++) {
      const encoder = this.#encoders[head];
      if (encoder === null || encoder === undefined || (this.#converted[head] ?? -1) < 0 || !offers.takeKeyWish(head)) continue;
      encoder.encode(this.#takeOf(head), true);
      ledger.charge(CopyStage.encoder, encoder.pictureBytes);
    }
  }

  close(): void {
    for (const encoder of this.#encoders) encoder?.close();
    this.#encoders.length = 0;
  }

  #release(read: boolean, row: number): void {
    const { offers, clock, log, wakeHost } = this.#parts;
    clock.read();
    log.cells[row + EncodeColumn.released] = clock.slot[0];
    offers.release(read, clock.slot);
    wakeHost();
  }

  /** Puts the pieces together. It cannot be aborted in its middle: a stop waits for a copy of the frame. */
  #gather(encoder: Encoder, { segments, offset, stride }: Picture): Slices {
    const { list, slices } = encoder.scratch();
    const row = encoder.width * 4;
    this.#parts.copier.copyRect(list, 0, row, segments, offset, stride, row, encoder.height, CopyStage.gather);
    return slices;
  }

  /** Another one where the size or the format has changed. */
  #encoderFor(head: number, { width, height, format }: Picture): Encoder {
    const present = this.#encoders[head] ?? null;
    if (present !== null && present.width === (width & ~1) && present.height === (height & ~1) && present.format === format) return present;
    present?.close();
    this.#encoders[head] = null;
    const made = new Encoder(this.#parts.av, width, height, format);
    this.#encoders[head] = made;
    return made;
  }

  #takeOf(head: number): ((packet: Buffer) => void) | null {
    const { take } = this.#parts;
    if (take === null) return null;
    this.#takes[head] ??= (packet) => {
      const encoder = this.#encoders[head];
      if (encoder !== null) take(head, packet, this.#converted[head], encoder);
    };
    return this.#takes[head];
  }

  /** CPU time of this thread since the last look, µs. */
  #lap(): number {
    const { user, system } = process.threadCpuUsage();
    const before = this.#cpu;
    this.#cpu = user + system;
    return this.#cpu - before;
  }
}
