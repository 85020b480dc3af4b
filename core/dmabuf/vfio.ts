import type { MemoryRegion } from '../memory/region.ts';
import { notAttachable } from './attachment.ts';
import { type Attachment, DmaBuf, type DmaBufOps } from './dma-buf.ts';
import { fail, OK, type Result } from './errno.ts';
import { isPageAligned } from './page-aligned.ts';
import { FenceUsage } from './reservation.ts';
import { SegmentPool } from './segment-pool.ts';
import type { SgTable } from './sg-table.ts';
import { NO_WAIT, type Wait } from './wait.ts';

/** VFIO_PCI_ROM_REGION_INDEX: the regions before it are BARs. */
export const ROM_REGION_INDEX = 6;

/** VFIO_DEVICE_FEATURE_DMA_BUF's argument (linux/vfio.h). */
export interface VfioDmaBufRequest {
  readonly regionIndex: number;
  /** Flags of the new file descriptor; without meaning here. */
  readonly openFlags: number;
  /** Must be 0. */
  readonly flags: number;
  /** Pieces of the region, page-aligned bytes. */
  readonly ranges: readonly { readonly offset: number; readonly length: number }[];
}

const pool = new SegmentPool();

/**
 * A device passed through to the guest: its BARs can be exported as dma-bufs without a copy
 * (drivers/vfio/pci/vfio_pci_dmabuf.c, virtio-gpu §3). There is no pin operation: mappings are revoked instead.
 */
export class VfioDevice {
  readonly name: string;
  readonly #wait: Wait;
  readonly #bars: (MemoryRegion | null)[] = [];
  readonly #exported: DmaBuf[] = [];
  #revoked = false;
  #closed = false;
  readonly #ops: DmaBufOps;

  /** @param options.wait used by `revoke` for fences and mappings of its importers */
  constructor(name: string, options: { readonly wait?: Wait } = {}) {
    this.name = name;
    this.#wait = options.wait ?? NO_WAIT;
    this.#ops = {
      name: 'vfio-pci',
      attach: (attachment) => this.#attach(attachment),
      map: (attachment) => this.#map(attachment),
      release: (dmabuf) => this.#release(dmabuf),
    };
  }

  get revoked(): boolean {
    return this.#revoked;
  }

  /** Dma-bufs alive. */
  get exported(): readonly DmaBuf[] {
    return this.#exported;
  }

  /** Claims a BAR. @throws RangeError for an index past the BARs or in use */
  addRegion(index: number, region: MemoryRegion): void {
    if (!Number.isInteger(index) || index < 0 || index >= ROM_REGION_INDEX) throw new RangeError(`${this.name}: region ${index} is no BAR`);
    if (this.region(index) !== null) throw new RangeError(`${this.name}: BAR ${index} is claimed already`);
    this.#bars[index] = region;
  }

  /** The BAR's memory, or null where none is claimed. */
  region(index: number): MemoryRegion | null {
    return this.#bars[index] ?? null;
  }

  /**
   * VFIO_DEVICE_FEATURE (GET | DMA_BUF). Succeeds while revoked: the buffer is then born revoked.
   * @returns EINVAL: flags ≠ 0, no ranges, length 0, unaligned offset or length, past the BAR, summed length overflowing;
   *   EOVERFLOW: an address overflows (the model's end at 2^53 − 1); ENODEV: not a BAR, BAR not claimed, or device closed
   */
  featureDmaBuf(request: VfioDmaBufRequest): Result<DmaBuf> {
    const count = request.ranges.length;
    const offset = new Float64Array(count);
    const length = new Float64Array(count);
    for (let i = 0; i < count; i++) {
      offset[i] = request.ranges[i].offset;
      length[i] = request.ranges[i].length;
    }
    return this.featureDmaBufList(request.regionIndex, request.openFlags, request.flags, offset, length, count);
  }

  /** The same from arrays: range i is `length[i]` bytes at `offset[i]`. For long lists. */
  featureDmaBufList(
    regionIndex: number,
    _openFlags: number,
    flags: number,
    offset: Float64Array,
    length: Float64Array,
    count: number,
  ): Result<DmaBuf> {
    if (flags !== 0) return fail('EINVAL', `flags ${flags}`);
    if (count === 0) return fail('EINVAL', 'no ranges');
    const region = regionIndex < ROM_REGION_INDEX ? this.region(regionIndex) : null;
    if (region === null || this.#closed) return fail('ENODEV', `${this.name}: region ${regionIndex} is not a claimed BAR`);
    let total = 0;
    for (let i = 0; i < count; i++) {
      if (!isPageAligned(offset[i])) return fail('EINVAL', `range ${i}: offset ${offset[i]} is not page-aligned`);
      if (!isPageAligned(length[i])) return fail('EINVAL', `range ${i}: length ${length[i]} is not page-aligned`);
      total += length[i];
      if (total > Number.MAX_SAFE_INTEGER) return fail('EINVAL', 'the summed length overflows');
    }
    const pages = pool.take(count);
    for (let i = 0; i < count; i++) {
      const refused = checkRange(region, i, offset[i], length[i]);
      if (refused !== null) {
        pool.give(pages);
        return refused;
      }
      pages.append(region, offset[i], length[i]);
    }
    const dmabuf = new DmaBuf(this.#ops, total, pages);
    dmabuf.revoked = this.#revoked;
    this.#exported.push(dmabuf);
    return { ok: true, value: dmabuf };
  }

  /**
   * Reset, close or memory disabled: takes all buffers back. For each: invalidate, wait for its fences (BOOKKEEP), then,
   * unlocked, until no importer maps it. Attach and map answer ENODEV until `restore`.
   * @returns ETIMEDOUT if the wait gave up with fences or mappings left; revoked nevertheless
   * @throws LockError, nothing revoked, if an exported buffer's reservation is held
   */
  revoke(): Result<void> {
    for (const dmabuf of this.#exported) dmabuf.resv.assertNotHeld('revoke');
    this.#revoked = true;
    let stuck = 0;
    for (const dmabuf of this.#exported.slice()) {
      if (dmabuf.revoked || dmabuf.refcount === 0) continue;
      const resv = dmabuf.resv;
      resv.lock();
      dmabuf.revoked = true;
      dmabuf.moveNotify();
      const fencesDone = () => resv.idle(FenceUsage.BOOKKEEP);
      if (!fencesDone()) this.#wait(fencesDone);
      resv.unlock();
      const unmapped = () => dmabuf.mappings === 0;
      if (!unmapped()) this.#wait(unmapped);
      if (!fencesDone() || !unmapped()) stuck++;
    }
    return stuck === 0 ? OK : fail('ETIMEDOUT', `${this.name}: ${stuck} buffers still in use after revoking them`);
  }

  /** Memory is enabled again: buffers can be attached and mapped. Does nothing unless revoked; nothing brings a closed device back. */
  restore(): void {
    if (!this.#revoked || this.#closed) return;
    for (const dmabuf of this.#exported) dmabuf.resv.assertNotHeld('restore');
    this.#revoked = false;
    for (const dmabuf of this.#exported) {
      dmabuf.resv.lock();
      dmabuf.revoked = false;
      dmabuf.resv.unlock();
    }
  }

  /** The user closes the device: revokes for good; no more exports. */
  close(): Result<void> {
    this.#closed = true;
    return this.revoke();
  }

  #attach(attachment: Attachment): Result<void> {
    const importer = attachment.importer;
    if (!importer.allowPeer2peer) return notAttachable(importer, "peer-to-peer is needed for a device's memory");
    if (importer.moveNotify === null) return notAttachable(importer, 'an invalidate callback is needed');
    return attachment.dmabuf.revoked ? fail('ENODEV', `${this.name} is revoked`) : OK;
  }

  #map(attachment: Attachment): Result<SgTable> {
    return attachment.dmabuf.revoked ? fail('ENODEV', `${this.name} is revoked`) : attachment.mapPages();
  }

  #release(dmabuf: DmaBuf): void {
    const at = this.#exported.indexOf(dmabuf);
    if (at >= 0) this.#exported.splice(at, 1);
    pool.give(dmabuf.pages);
  }
}

function checkRange(region: MemoryRegion, range: number, offset: number, length: number): Result<never> | null {
  if (length === 0) return fail('EINVAL', `range ${range}: length 0`);
  if (region.gpa + offset + length > Number.MAX_SAFE_INTEGER) return fail('EOVERFLOW', `range ${range}: its address overflows`);
  if (offset > region.size || length > region.size - offset) return fail('EINVAL', `range ${range}: past the end of the BAR`);
  return null;
}
