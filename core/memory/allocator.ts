import { PAGE_SIZE } from './address.ts';
import type { Random } from './random.ts';
import type { MemoryRegion } from './region.ts';
import { SegmentList } from './segments.ts';

/**
 * How a buffer's pages lie. `contiguous`: one run. `2m`, `64k`, `4k`: aligned blocks of that size, scattered
 * over the region, as huge pages, large folios or single pages would be.
 */
export type PageLayout = 'contiguous' | '2m' | '64k' | '4k';
export const PAGE_LAYOUTS: readonly PageLayout[] = ['contiguous', '2m', '64k', '4k'];

/**
 * Scattered blocks are drawn from the lowest free ones, this many for each one wanted and MIN_WINDOW pages at least.
 * Drawn from the whole region, one 4K frame of single pages would leave no large block free anywhere.
 */
const SCATTER = 2;
const MIN_WINDOW = 256;

const BLOCK_PAGES = { '2m': 512, '64k': 16, '4k': 1 } as const;

/**
 * Hands out whole pages of one region in a wanted layout. The same seed and the same calls give the same
 * pages. For setting up: it allocates and walks the whole page map.
 */
export class PageAllocator {
  readonly region: MemoryRegion;
  readonly totalBytes: number;
  readonly #random: Random;
  /** 1 where a page of the region is taken; pages below the first offset always are. */
  readonly #taken: Uint8Array;
  #freePages: number;

  /**
   * @param firstOffset bytes at the region's start that are never handed out, rounded up to whole pages
   * @throws RangeError when `firstOffset` lies outside the region
   */
  constructor(region: MemoryRegion, firstOffset: number, random: Random) {
    if (!(firstOffset >= 0 && firstOffset <= region.size)) {
      throw new RangeError(`region ${region.name}: pages cannot start at ${firstOffset}`);
    }
    const first = Math.ceil(firstOffset / PAGE_SIZE);
    this.region = region;
    this.#random = random;
    this.#taken = new Uint8Array(region.size / PAGE_SIZE);
    this.#taken.fill(1, 0, first);
    this.#freePages = this.#taken.length - first;
    this.totalBytes = this.#freePages * PAGE_SIZE;
  }

  get freeBytes(): number {
    return this.#freePages * PAGE_SIZE;
  }

  /**
   * Takes `bytes`, rounded up to whole pages (the list's `length`). In a scattered layout no block directly follows
   * its predecessor, so there is exactly one segment a block; a last block that is not needed whole takes an
   * aligned free block's first pages and leaves the others free.
   * @returns null when there is no room in that layout; nothing is taken then
   * @throws RangeError unless `bytes` is a positive integer
   */
  alloc(bytes: number, layout: PageLayout): SegmentList | null {
    if (!Number.isSafeInteger(bytes) || bytes <= 0) throw new RangeError(`cannot allocate ${bytes} bytes`);
    const pages = Math.ceil(bytes / PAGE_SIZE);
    if (pages > this.#freePages) return null;
    return layout === 'contiguous' ? this.#allocRun(pages) : this.#allocBlocks(pages, BLOCK_PAGES[layout]);
  }

  /**
   * Gives the pages of a list from `alloc` back; the list itself stays as it is.
   * @throws RangeError, nothing given back, when a page is of another region, out of range or free already
   */
  free(list: SegmentList): void {
    let pages = 0;
    for (let i = 0; i < list.count; i++) {
      const first = list.offset[i] / PAGE_SIZE;
      const count = list.bytes[i] / PAGE_SIZE;
      const reserved = this.#taken.length - this.totalBytes / PAGE_SIZE;
      const ours = list.region[i] === this.region && Number.isInteger(first) && Number.isInteger(count) && first >= reserved;
      if (!ours || first + count > this.#taken.length || !this.#allTaken(first, count)) {
        throw new RangeError(`region ${this.region.name}: ${list.bytes[i]} bytes at ${list.offset[i]} are not allocated here`);
      }
      pages += count;
    }
    for (let i = 0; i < list.count; i++) {
      const first = list.offset[i] / PAGE_SIZE;
      this.#taken.fill(0, first, first + list.bytes[i] / PAGE_SIZE);
    }
    this.#freePages += pages;
  }

  #allTaken(first: number, count: number): boolean {
    const free = this.#taken.indexOf(0, first);
    return free < 0 || free >= first + count;
  }

  /** First fit. */
  #allocRun(pages: number): SegmentList | null {
    let first = this.#taken.indexOf(0);
    while (first >= 0 && first + pages <= this.#taken.length) {
      const end = this.#taken.indexOf(1, first);
      if (end < 0 || end - first >= pages) {
        const list = new SegmentList(1);
        this.#take(list, first, pages);
        return list;
      }
      first = this.#taken.indexOf(0, end);
    }
    return null;
  }

  #allocBlocks(pages: number, blockPages: number): SegmentList | null {
    const count = Math.ceil(pages / blockPages);
    const blocks = this.#freeBlocks(blockPages);
    if (blocks.length < count) return null;
    const window = blocks.subarray(0, Math.max(count * SCATTER, MIN_WINDOW / blockPages));
    const order = scatter(window, count, this.#random);
    const list = new SegmentList(count);
    for (let i = 0; i < count; i++) {
      this.#take(list, order[i] * blockPages, Math.min(blockPages, pages - i * blockPages));
    }
    return list;
  }

  /** Numbers of the aligned blocks that are free as a whole, ascending. */
  #freeBlocks(blockPages: number): Uint32Array {
    const blocks = new Uint32Array(Math.floor(this.#taken.length / blockPages));
    let count = 0;
    for (let block = 0; block < blocks.length; block++) {
      const first = block * blockPages;
      const end = first + blockPages;
      let page = first;
      while (page < end && this.#taken[page] === 0) page++;
      if (page === end) blocks[count++] = block;
    }
    return blocks.slice(0, count);
  }

  #take(list: SegmentList, first: number, pages: number): void {
    this.#taken.fill(1, first, first + pages);
    this.#freePages -= pages;
    list.append(this.region, first * PAGE_SIZE, pages * PAGE_SIZE);
  }
}

/**
 * Draws `count` of `blocks` (distinct; reordered by this) at random so that none is its predecessor plus one,
 * and none its predecessor minus one while there is another choice.
 */
function scatter(blocks: Uint32Array, count: number, random: Random): Uint32Array {
  for (let i = 0; i < count; i++) {
    const left = blocks.length - i;
    let pick = i + random.below(left);
    if (i > 0) {
      const previous = blocks[i - 1];
      // Only two values are unwanted, so one of three successive candidates is welcome, if there are three.
      for (let tries = 0; tries < 3 && Math.abs(blocks[pick] - previous) === 1; tries++) pick = i + ((pick - i + 1) % left);
      if (blocks[pick] === previous + 1) pick = i + ((pick - i + 1) % left);
      if (blocks[pick] === previous + 1) {
        insertEarlier(blocks, i);
        continue;
      }
    }
    const picked = blocks[pick];
    blocks[pick] = blocks[i];
    blocks[i] = picked;
  }
  return blocks.subarray(0, count);
}

/**
 * Moves blocks[last], the only candidate left and its predecessor's successor, to the front, or to the second
 * place when its own successor stands at the front: there it follows no predecessor, nor does any other.
 */
function insertEarlier(blocks: Uint32Array, last: number): void {
  const block = blocks[last];
  const place = blocks[0] === block + 1 ? 1 : 0;
  blocks.copyWithin(place + 1, place, last);
  blocks[place] = block;
}
