import type { EncoderName } from '../../core/machine/options.ts';
import type { Clock } from '../../core/measure/clock.ts';
import type { Copier } from '../../core/memory/copier.ts';
import { CopyStage, type Ledger } from '../../core/memory/ledger.ts';
import { ThreadClock } from '../native/thread-clock.ts';
import { EncodeColumn, type EncodeLog } from './encode-log.ts';
import type { Encoder, Slices } from './encoder.ts';
import { openEncoder } from './hardware-encoder.ts';
import type { NodeAv } from './node-av.ts';
import type { Offers } from './offers.ts';
import type { Picture, Pictures } from './pictures.ts';

export interface FrameEncoderParts {
  readonly av: NodeAv;
  readonly encoder: EncoderName;
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
  /** Told why software encodes what the hardware was to; null: it never does. */
  readonly fallBack: ((why: string) => void) | null;
}

/** Encodes one frame after the other: reads the guest's bytes, gives them back, then encodes what it has read. */
export class FrameEncoder {
  readonly #parts: FrameEncoderParts;
  /** By head. */
  readonly #encoders: (Encoder | null)[] = [];
  readonly #takes: ((packet: Buffer) => void)[] = [];
  /** By head: the frame that its encoder has converted last, whole; −1: none. */
  readonly #converted: number[] = [];
  readonly #cpu = new ThreadClock();
  /** By what: the hardware, until it has failed. */
  #by: EncoderName;
  #hasTold = false;

  constructor(parts: FrameEncoderParts) {
    this.#parts = parts;
    this.#by = parts.encoder;
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
    this.#cpu.lap();
    const picture = pictures.get(offers.image);
    const encoder = picture === null ? null : this.#encoderFor(head, picture);
    let read = false;
    let slices: Slices | null = null;
    // An encoder may have been opened meanwhile, which takes longer than a slice: nothing is read for who waits no more.
    if (picture !== null && encoder !== null && !offers.aborted) {
      slices = picture.inPlace;
      if (slices === null) {
        slices = this.#gather(encoder, picture);
        cells[row + EncodeColumn.gatherNs] = this.#cpu.lap();
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
      cells[row + EncodeColumn.convertNs] = this.#cpu.lap();
    }
    if (!read) this.#release(slices !== null, row);
    if (slices === null || encoder === null) return;
    this.#converted[head] = frame;
    if (!this.#encode(head, encoder, offers.takeKeyWish(head))) return;
    // The encoder has taken the picture into memory of its own, whatever became of it.
    ledger.charge(CopyStage.encoder, encoder.pictureBytes);
    cells[row + EncodeColumn.encodeNs] = this.#cpu.lap();
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
      if (this.#encode(head, encoder, true)) ledger.charge(CopyStage.encoder, encoder.pictureBytes);
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
    const made = this.#open(width, height, format);
    this.#encoders[head] = made;
    return made;
  }

  /** What the hardware does not take, as a size that the guest has chosen, is for software. */
  #open(width: number, height: number, format: number): Encoder {
    const { av, fallBack } = this.#parts;
    try {
      return openEncoder(av, this.#by, width, height, format);
    } catch (error) {
      if (this.#by === 'software' || fallBack === null) throw error;
      this.#tell(`${width}x${height}`, error);
      return openEncoder(av, 'software', width, height, format);
    }
  }

  /** @returns false: the hardware has failed, and from the next frame on software encodes */
  #encode(head: number, encoder: Encoder, key: boolean): boolean {
    try {
      encoder.encode(this.#takeOf(head), key);
      return true;
    } catch (error) {
      if (encoder.isSoftware || this.#parts.fallBack === null) throw error;
      this.#by = 'software';
      this.#tell('a frame', error);
      encoder.close();
      this.#encoders[head] = null;
      this.#converted[head] = -1;
      return false;
    }
  }

  /** Once: the guest decides how often there is cause. */
  #tell(what: string, error: unknown): void {
    if (this.#hasTold) return;
    this.#hasTold = true;
    const why = error instanceof Error ? error.message : String(error);
    this.#parts.fallBack?.(`${this.#parts.encoder} refuses ${what}, which software encodes instead: ${why}`);
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
}
