import type { DmaBuf } from './dma-buf.ts';
import { fail, OK, type Result } from './errno.ts';
import { ContractError, UseAfterFreeError } from './errors.ts';
import { SgTable } from './sg-table.ts';

/** A device that attaches to dma-bufs (struct dma_buf_attach_ops). */
export interface Importer {
  readonly name: string;
  /** Whether it can reach another device's memory (its BAR) without a copy in RAM. */
  readonly allowPeer2peer: boolean;
  /**
   * The buffer is about to move, or is revoked: stop using the mapping and unmap. Called with the reservation held.
   * null: not a dynamic importer; its mapping pins the buffer.
   */
  readonly moveNotify: ((attachment: Attachment) => void) | null;
}

/**
 * One importer's hold on a dma-buf (struct dma_buf_attachment). Made by `DmaBuf.attach`, gone after
 * `DmaBuf.detach`; every use after that throws UseAfterFreeError.
 */
export class Attachment {
  readonly importer: Importer;
  /** The mapping's table, filled by `map`; its contents are valid while `mapped`. */
  readonly table = new SgTable(1);
  readonly #dmabuf: DmaBuf;
  #alive = true;
  #pins = 0;
  #mapped = false;
  readonly #mapResult: Result<SgTable> = Object.freeze({ ok: true, value: this.table });

  /** Only for DmaBuf. */
  constructor(dmabuf: DmaBuf, importer: Importer) {
    this.#dmabuf = dmabuf;
    this.importer = importer;
  }

  /** @throws UseAfterFreeError after detach: read it before, as the kernel's driver had to learn (virtio-gpu §2) */
  get dmabuf(): DmaBuf {
    if (!this.#alive) throw new UseAfterFreeError(`attachment of ${this.importer.name} used after detach`);
    return this.#dmabuf;
  }

  get dynamic(): boolean {
    return this.importer.moveNotify !== null;
  }

  get pins(): number {
    return this.#pins;
  }

  get mapped(): boolean {
    return this.#mapped;
  }

  /**
   * Keeps the buffer where it is until `unpin` (dma_buf_pin). Counted. Reservation held.
   * @returns the exporter's errno if it can't be pinned
   * @throws LockError, UseAfterFreeError; ContractError for an importer that is not dynamic
   */
  pin(): Result<void> {
    const dmabuf = this.dmabuf;
    dmabuf.resv.assertHeld('pin');
    if (!this.dynamic) throw new ContractError(`${this.importer.name} is not a dynamic importer: only map pins for it`);
    return this.#pin(dmabuf);
  }

  /** Undoes one `pin`. Reservation held. @throws LockError, UseAfterFreeError; ContractError if not pinned */
  unpin(): void {
    const dmabuf = this.dmabuf;
    dmabuf.resv.assertHeld('unpin');
    if (!this.dynamic) throw new ContractError(`${this.importer.name} is not a dynamic importer: only unmap unpins for it`);
    this.#unpin(dmabuf);
  }

  /**
   * Maps the buffer for the importer (dma_buf_map_attachment). Reservation held. For an importer that is not dynamic the
   * buffer stays pinned until `unmap`.
   * @returns the table, which stays valid until `unmap`; or the exporter's errno (ENODEV while revoked)
   * @throws LockError, UseAfterFreeError; ContractError if mapped already
   */
  map(): Result<SgTable> {
    const dmabuf = this.dmabuf;
    dmabuf.resv.assertHeld('map');
    if (this.#mapped) throw new ContractError(`${this.importer.name} maps ${dmabuf.exporterName} twice`);
    if (!this.dynamic) {
      const pinned = this.#pin(dmabuf);
      if (!pinned.ok) return pinned;
    }
    const result = dmabuf.exporter.map(this);
    if (!result.ok) {
      if (!this.dynamic) this.#unpin(dmabuf);
      return result;
    }
    this.#mapped = true;
    dmabuf.mappings++;
    return result;
  }

  /** Ends the mapping. Reservation held. @throws LockError, UseAfterFreeError; ContractError if not mapped */
  unmap(): void {
    const dmabuf = this.dmabuf;
    dmabuf.resv.assertHeld('unmap');
    if (!this.#mapped) throw new ContractError(`${this.importer.name} unmaps ${dmabuf.exporterName}, which it has not mapped`);
    this.#mapped = false;
    dmabuf.mappings--;
    dmabuf.exporter.unmap?.(this);
    this.table.clear();
    if (!this.dynamic) this.#unpin(dmabuf);
  }

  /** For exporters: fills `table` from where the buffer lies now. */
  mapPages(): Result<SgTable> {
    this.table.fill(this.dmabuf.pages);
    return this.#mapResult;
  }

  /** Only for DmaBuf.detach. */
  kill(): void {
    this.#alive = false;
  }

  #pin(dmabuf: DmaBuf): Result<void> {
    const result = dmabuf.exporter.pin === undefined ? OK : dmabuf.exporter.pin(this);
    if (result.ok) {
      this.#pins++;
      dmabuf.pins++;
    }
    return result;
  }

  #unpin(dmabuf: DmaBuf): void {
    if (this.#pins === 0) throw new ContractError(`${this.importer.name} unpins ${dmabuf.exporterName}, which it has not pinned`);
    this.#pins--;
    dmabuf.pins--;
    dmabuf.exporter.unpin?.(this);
  }
}

export const notAttachable = (importer: Importer, why: string): Result<never> => fail('EOPNOTSUPP', `${importer.name}: ${why}`);
