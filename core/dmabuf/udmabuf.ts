import type { MemoryRegion } from '../memory/region.ts';
import type { SegmentList } from '../memory/segments.ts';
import { DmaBuf, type DmaBufOps } from './dma-buf.ts';
import { type Failure, fail, type Result } from './errno.ts';
import { isPageAligned } from './page-aligned.ts';
import { SegmentPool } from './segment-pool.ts';

export interface Seals {
  readonly shrink: boolean;
  readonly write: boolean;
  readonly futureWrite: boolean;
}

/** What QEMU's memory-backend-memfd makes: shared memory that cannot shrink. */
export const GUEST_RAM_SEALS: Seals = Object.freeze({ shrink: true, write: false, futureWrite: false });

export interface MemfdOptions {
  readonly kind?: 'shmem' | 'hugetlbfs' | 'other';
  readonly seals?: Seals;
  /** Bytes; the region's size unless given. */
  readonly size?: number;
}

/** The file behind a region of guest RAM: file offset = region offset. */
export class Memfd {
  readonly region: MemoryRegion;
  readonly kind: 'shmem' | 'hugetlbfs' | 'other';
  readonly seals: Seals;
  readonly size: number;

  constructor(region: MemoryRegion, options: MemfdOptions = {}) {
    this.region = region;
    this.kind = options.kind ?? 'shmem';
    this.seals = options.seals ?? GUEST_RAM_SEALS;
    this.size = options.size ?? region.size;
    if (!(this.size >= 0 && this.size <= region.size)) {
      throw new RangeError(`memfd of ${this.size} bytes over ${region.name} of ${region.size}`);
    }
  }
}

/** The module's parameters. */
export interface UdmabufLimits {
  /** Most items of a list. */
  readonly listLimit: number;
  /** Most MiB of a buffer. */
  readonly sizeLimitMb: number;
}
export const UDMABUF_DEFAULTS: UdmabufLimits = Object.freeze({ listLimit: 1024, sizeLimitMb: 64 });

/** `memfd` null: a bad file descriptor. */
export interface UdmabufItem {
  readonly memfd: Memfd | null;
  readonly offset: number;
  readonly size: number;
}

const pool = new SegmentPool();

/** No pin or attach operation: the pages are pinned for the buffer's life and never move. */
const OPS: DmaBufOps = {
  name: 'udmabuf',
  map: (attachment) => attachment.mapPages(),
  release: (dmabuf) => pool.give(dmabuf.pages),
};

/**
 * UDMABUF_CREATE_LIST (drivers/dma-buf/udmabuf.c, virtio-gpu §3): a dma-buf over pages of memfds.
 * @returns EINVAL: more items than listLimit, none, a misaligned offset or size, an empty item, a range past the file's
 *   end, more than sizeLimitMb in all, seals wrong; EBADFD: a bad descriptor, not shmem or hugetlbfs. Nothing is taken on error.
 */
export function createUdmabuf(limits: UdmabufLimits, items: readonly UdmabufItem[]): Result<DmaBuf> {
  const count = items.length;
  const index = new Int32Array(count);
  const offset = new Float64Array(count);
  const size = new Float64Array(count);
  const memfds: (Memfd | null)[] = [];
  for (let i = 0; i < count; i++) {
    index[i] = i;
    memfds.push(items[i].memfd);
    offset[i] = items[i].offset;
    size[i] = items[i].size;
  }
  return createUdmabufList(limits, memfds, index, offset, size, count);
}

/**
 * The same from arrays: item i is `size[i]` bytes at `offset[i]` of `memfds[index[i]]`. For long lists; allocates next to nothing
 * once buffers of that length have been released before.
 */
export function createUdmabufList(
  limits: UdmabufLimits,
  memfds: readonly (Memfd | null)[],
  index: Int32Array,
  offset: Float64Array,
  size: Float64Array,
  count: number,
): Result<DmaBuf> {
  if (count > limits.listLimit) return fail('EINVAL', `${count} items, list_limit is ${limits.listLimit}`);
  // As the kernel: the shape of all items first, then each item's file.
  const limit = limits.sizeLimitMb * 1024 * 1024;
  let total = 0;
  for (let i = 0; i < count; i++) {
    if (!isPageAligned(offset[i])) return fail('EINVAL', `item ${i}: offset ${offset[i]} is not page-aligned`);
    if (!isPageAligned(size[i])) return fail('EINVAL', `item ${i}: size ${size[i]} is not page-aligned`);
    total += size[i];
    if (total > limit) return fail('EINVAL', `${total} bytes or more, size_limit_mb is ${limits.sizeLimitMb}`);
  }
  if (total === 0) return fail('EINVAL', 'no pages');
  const pages = pool.take(count);
  for (let i = 0; i < count; i++) {
    const memfd = memfds[index[i]] ?? null;
    const refused = memfd === null ? fail('EBADFD', `item ${i}: bad file descriptor`) : addItem(pages, memfd, i, offset[i], size[i]);
    if (refused !== null) {
      pool.give(pages);
      return refused;
    }
  }
  return { ok: true, value: new DmaBuf(OPS, total, pages) };
}

/** @returns null when added */
function addItem(pages: SegmentList, memfd: Memfd, item: number, offset: number, size: number): Failure | null {
  if (memfd.kind === 'other') return fail('EBADFD', `item ${item}: neither shmem nor hugetlbfs`);
  const seals = memfd.seals;
  if (!seals.shrink) return fail('EINVAL', `item ${item}: F_SEAL_SHRINK is not set`);
  if (seals.write || seals.futureWrite) return fail('EINVAL', `item ${item}: sealed against writing`);
  if (size === 0) return fail('EINVAL', `item ${item}: size 0`);
  if (offset > memfd.size || size > memfd.size - offset) return fail('EINVAL', `item ${item}: past the end of its file`);
  pages.append(memfd.region, offset, size);
  return null;
}
