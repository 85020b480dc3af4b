import { SegmentList } from '../memory/segments.ts';
import { Attachment, type Importer } from './attachment.ts';
import { OK, type Result } from './errno.ts';
import { ContractError, UseAfterFreeError } from './errors.ts';
import { Reservation } from './reservation.ts';
import type { SgTable } from './sg-table.ts';

export { Attachment, type Importer } from './attachment.ts';

/**
 * What an exporter does for its buffers (struct dma_buf_ops). Absent `attach`, `pin`: always succeeds.
 * pin, unpin, map, unmap run with the reservation held, the others without.
 */
export interface DmaBufOps {
  readonly name: string;
  /** May refuse an importer. The attachment is not in `attachments` yet. */
  attach?(attachment: Attachment): Result<void>;
  detach?(attachment: Attachment): void;
  pin?(attachment: Attachment): Result<void>;
  unpin?(attachment: Attachment): void;
  /** Usually `attachment.mapPages()`. */
  map(attachment: Attachment): Result<SgTable>;
  unmap?(attachment: Attachment): void;
  /** The last reference is gone. */
  release?(dmabuf: DmaBuf): void;
}
export type Exporter = DmaBufOps;

const NO_PAGES = new SegmentList(1);

/**
 * A buffer shared between devices (struct dma_buf, linux/dma-buf.h). Born with one reference. Breaking a rule
 * throws LockError, UseAfterFreeError or ContractError; what an exporter refuses comes back as an errno.
 */
export class DmaBuf {
  readonly exporter: DmaBufOps;
  /** The exporter's. */
  readonly priv: unknown;
  /** Bytes. */
  readonly size: number;
  /** Shared by the exporter and all importers. */
  readonly resv: Reservation;
  /** Where the bytes lie now: the CPU's view. An exporter that moves the buffer replaces it; empty after release. */
  pages: SegmentList;
  /** Attached importers, oldest first. */
  readonly attachments: Attachment[] = [];
  /** Pins of all attachments. Written by Attachment. */
  pins = 0;
  /** Attachments mapped now. Written by Attachment. */
  mappings = 0;
  /** While true, attach and map answer ENODEV (exporters that revoke). */
  revoked = false;
  #refcount = 1;

  /** @param resv the exporter's own object's, where it has one @param priv what the exporter wants to find again */
  constructor(exporter: DmaBufOps, size: number, pages: SegmentList, resv: Reservation = new Reservation(), priv: unknown = null) {
    this.exporter = exporter;
    this.size = size;
    this.pages = pages;
    this.resv = resv;
    this.priv = priv;
  }

  get exporterName(): string {
    return this.exporter.name;
  }

  get refcount(): number {
    return this.#refcount;
  }

  /** Takes a reference. Reservation not held. @throws UseAfterFreeError after release */
  get(): this {
    this.#assertAlive('get');
    this.resv.assertNotHeld('get');
    this.#refcount++;
    return this;
  }

  /**
   * Drops a reference; the last one releases the buffer. Reservation not held.
   * @throws UseAfterFreeError after release; ContractError if an importer is still attached at the last put
   */
  put(): void {
    this.#assertAlive('put');
    this.resv.assertNotHeld('put');
    if (this.#refcount === 1 && this.attachments.length > 0) {
      const name = this.attachments[0].importer.name;
      throw new ContractError(`the last reference to a dma-buf of ${this.exporterName} is dropped while ${name} is attached`);
    }
    this.#refcount--;
    if (this.#refcount > 0) return;
    this.exporter.release?.(this);
    this.pages = NO_PAGES;
  }

  /**
   * Attaches an importer (dma_buf_dynamic_attach). Reservation not held.
   * @returns the exporter's errno if it refuses this importer (EOPNOTSUPP, ENODEV)
   */
  attach(importer: Importer): Result<Attachment> {
    this.#assertAlive('attach');
    this.resv.assertNotHeld('attach');
    const attachment = new Attachment(this, importer);
    const accepted = this.exporter.attach === undefined ? OK : this.exporter.attach(attachment);
    if (!accepted.ok) {
      attachment.kill();
      return accepted;
    }
    this.resv.lock();
    this.attachments.push(attachment);
    this.resv.unlock();
    return { ok: true, value: attachment };
  }

  /**
   * Ends an attachment, which must be neither mapped nor pinned. Reservation not held. `attachment` is dead afterwards.
   * @throws ContractError if it is mapped, pinned or not one of this buffer's
   */
  detach(attachment: Attachment): void {
    this.#assertAlive('detach');
    this.resv.assertNotHeld('detach');
    const name = attachment.importer.name;
    const at = this.attachments.indexOf(attachment);
    if (at < 0) throw new ContractError(`${name} is not attached to this dma-buf of ${this.exporterName}`);
    if (attachment.mapped) throw new ContractError(`${name} detaches while mapped`);
    if (attachment.pins > 0) throw new ContractError(`${name} detaches while pinned: a pin leaked`);
    this.resv.lock();
    this.attachments.splice(at, 1);
    this.resv.unlock();
    this.exporter.detach?.(attachment);
    attachment.kill();
  }

  /** Ends the attachment of an importer that died: drops its mapping and pins first. Reservation not held. */
  reap(attachment: Attachment): void {
    this.resv.lock();
    if (attachment.mapped) attachment.unmap();
    while (attachment.pins > 0) attachment.unpin();
    this.resv.unlock();
    this.detach(attachment);
  }

  /**
   * Tells every dynamic importer that the buffer is about to move (dma_buf_move_notify; "invalidate mappings" in
   * newer kernels), the newest attachment first as the kernel's list has it. Reservation held; a callback may
   * wait, with the lock held, for the other side.
   */
  moveNotify(): void {
    this.#assertAlive('move_notify');
    this.resv.assertHeld('move_notify');
    for (let i = this.attachments.length - 1; i >= 0; i--) {
      const attachment = this.attachments[i];
      attachment.importer.moveNotify?.(attachment);
    }
  }

  #assertAlive(what: string): void {
    if (this.#refcount <= 0) throw new UseAfterFreeError(`${what} on a released dma-buf of ${this.exporterName}`);
  }
}
