import { pageAlign } from '../memory/address.ts';
import type { PageAllocator, PageLayout } from '../memory/allocator.ts';
import type { Copier } from '../memory/copier.ts';
import { CopyStage } from '../memory/ledger.ts';
import type { Random } from '../memory/random.ts';
import type { SegmentList } from '../memory/segments.ts';
import type { Attachment, DmaBuf, DmaBufOps } from './dma-buf.ts';
import { fail, OK, type Result } from './errno.ts';
import { type BufferOwner, GpuBuffer, type Placement } from './gpu-buffer.ts';
import { FenceUsage } from './reservation.ts';
import type { SgTable } from './sg-table.ts';
import { NO_WAIT, type Wait } from './wait.ts';

export { GpuBuffer, type Placement } from './gpu-buffer.ts';

export interface PassthroughGpuOptions {
  readonly name: string;
  /** Pages of its BAR; null: a GPU without memory of its own. */
  readonly vram: PageAllocator | null;
  readonly system: PageAllocator;
  /** Most bytes of VRAM that buffers may take. */
  readonly vramBudget: number;
  readonly copier: Copier;
  /** Unused: page order comes from the allocators' own. */
  readonly random?: Random;
  /** Used for a moving buffer's fences and mappings, its reservation held. */
  readonly wait?: Wait;
}

/**
 * A GPU passed through to the guest, as its driver there manages it (TTM's habits): buffers in VRAM or in system
 * memory, moved from one to the other under a budget; dynamic importers are told before a move, pinned buffers
 * never move. Pages and their contents are real; rendering is somebody else's.
 */
export class PassthroughGpu {
  readonly name: string;
  readonly vramBudget: number;
  /** For GpuBuffer; `dmabuf.exporter === gpu.ops` tells this GPU's exports. */
  readonly ops: DmaBufOps;
  readonly #vram: PageAllocator | null;
  readonly #system: PageAllocator;
  readonly #copier: Copier;
  readonly #wait: Wait;
  readonly #owner: BufferOwner;
  readonly #buffers: GpuBuffer[] = [];
  /** No longer referenced, but with fences pending at that time. */
  readonly #doomed: GpuBuffer[] = [];
  #vramUsed = 0;
  #uses = 0;

  constructor(options: PassthroughGpuOptions) {
    this.name = options.name;
    this.vramBudget = options.vramBudget;
    this.#vram = options.vram;
    this.#system = options.system;
    this.#copier = options.copier;
    this.#wait = options.wait ?? NO_WAIT;
    this.ops = {
      name: options.name,
      pin: (attachment) => this.#pin(attachment),
      map: (attachment) => this.#map(attachment),
      release: (dmabuf) => this.#bufferOf(dmabuf).exportReleased(),
    };
    this.#owner = { ops: this.ops, freeBuffer: (buffer) => this.#free(buffer) };
  }

  /** Bytes of VRAM taken. */
  get vramUsed(): number {
    return this.#vramUsed;
  }

  /** Buffers whose memory is referenced, oldest first. */
  get buffers(): readonly GpuBuffer[] {
    return this.#buffers;
  }

  /**
   * A buffer of `bytes`, rounded up to pages, its contents undefined. Past the VRAM budget the least recently used unpinned
   * buffers are evicted; where that is not enough the buffer falls back to system memory (see its `placement`).
   * @returns ENOMEM when there is no room in system memory either
   * @throws RangeError for a size that is no positive integer
   */
  createBuffer(bytes: number, placement: Placement, layout: PageLayout): Result<GpuBuffer> {
    if (!Number.isSafeInteger(bytes) || bytes <= 0) throw new RangeError(`${this.name}: a buffer of ${bytes} bytes`);
    const size = pageAlign(bytes);
    let actual = placement;
    let pages = this.#allocate(size, placement, layout);
    if (pages === null && placement === 'vram') {
      actual = 'system';
      pages = this.#allocate(size, 'system', layout);
    }
    if (pages === null) return fail('ENOMEM', `${this.name}: no room for ${size} bytes (${layout})`);
    const buffer = new GpuBuffer(this.#owner, size, layout, actual, pages);
    this.#buffers.push(buffer);
    this.touch(buffer);
    return { ok: true, value: buffer };
  }

  /** The buffer is used now (rendered to): it becomes the last to be evicted. Pinning and mapping do this too. */
  touch(buffer: GpuBuffer): void {
    this.#uses++;
    buffer.lastUse = this.#uses;
  }

  /**
   * Moves a buffer from VRAM to system memory: takes its lock, tells the importers (move_notify), waits for its fences (BOOKKEEP)
   * and mappings, copies (charged to `migrate`), frees the old pages.
   * @returns 'already' if it lies there; EBUSY: pinned, or the wait gave up; ENOMEM: no room. The buffer has not moved then
   * @throws LockError if its reservation is held
   */
  evict(buffer: GpuBuffer): Result<'moved' | 'already'> {
    return this.#migrate(buffer, 'system');
  }

  /**
   * Moves a buffer from system memory to VRAM, as `evict` does; the least recently used others make room.
   * @returns as `evict`; ENOSPC: no room in VRAM; EOPNOTSUPP: an importer without peer-to-peer is attached
   */
  restore(buffer: GpuBuffer): Result<'moved' | 'already'> {
    return this.#migrate(buffer, 'vram');
  }

  #migrate(buffer: GpuBuffer, placement: Placement): Result<'moved' | 'already'> {
    buffer.resv.lock();
    const result = this.#move(buffer, placement);
    buffer.resv.unlock();
    return result;
  }

  /** Reservation held. */
  #move(buffer: GpuBuffer, placement: Placement): Result<'moved' | 'already'> {
    if (buffer.placement === placement) return { ok: true, value: 'already' };
    if (buffer.pinned) return fail('EBUSY', `${this.name}: the buffer is pinned`);
    if (placement === 'vram' && !buffer.peer2peer) return fail('EOPNOTSUPP', `${this.name}: an importer cannot reach VRAM`);
    const pages = this.#allocate(buffer.size, placement, buffer.layout);
    if (pages === null) {
      return fail(placement === 'vram' ? 'ENOSPC' : 'ENOMEM', `${this.name}: no room in ${placement} for ${buffer.size} bytes`);
    }
    buffer.dmabuf?.moveNotify();
    // An importer's fence on the shared reservation is what keeps its last access apart from the copy below.
    const quiet = () => buffer.resv.idle(FenceUsage.BOOKKEEP) && !buffer.mapped;
    if (!quiet()) this.#wait(quiet);
    if (!quiet() || buffer.pinned) {
      this.#giveBack(pages, placement);
      return fail('EBUSY', `${this.name}: the buffer is still in use after move_notify`);
    }
    const old = buffer.pages;
    const from = buffer.placement;
    this.#copier.copy(pages, 0, old, 0, buffer.size, CopyStage.migrate);
    buffer.moved(placement, pages);
    this.#giveBack(old, from);
    if (placement === 'vram') this.touch(buffer);
    return { ok: true, value: 'moved' };
  }

  #pin(attachment: Attachment): Result<void> {
    const buffer = this.#bufferOf(attachment.dmabuf);
    this.touch(buffer);
    return this.#makeReachable(buffer);
  }

  #map(attachment: Attachment): Result<SgTable> {
    const buffer = this.#bufferOf(attachment.dmabuf);
    this.touch(buffer);
    const reachable = this.#makeReachable(buffer);
    return reachable.ok ? attachment.mapPages() : reachable;
  }

  /** An importer without peer-to-peer gets the buffer in system memory (amdgpu_dma_buf_pin, virtio-gpu §2). */
  #makeReachable(buffer: GpuBuffer): Result<void> {
    if (buffer.placement === 'system' || buffer.peer2peer) return OK;
    const moved = this.#move(buffer, 'system');
    return moved.ok ? OK : moved;
  }

  #allocate(size: number, placement: Placement, layout: PageLayout): SegmentList | null {
    this.#reap();
    if (placement === 'system') return this.#system.alloc(size, layout);
    const vram = this.#vram;
    if (vram === null || size > this.vramBudget || size > vram.totalBytes) return null;
    for (;;) {
      if (this.#vramUsed + size <= this.vramBudget) {
        const pages = vram.alloc(size, layout);
        if (pages !== null) {
          this.#vramUsed += size;
          return pages;
        }
      }
      if (!this.#evictOne()) return null;
    }
  }

  /** Evicts the least recently used buffer that can be, passing over pinned, locked (as TTM's trylock does) and busy ones. */
  #evictOne(): boolean {
    const candidates = this.#buffers.filter((buffer) => buffer.placement === 'vram' && !buffer.pinned);
    candidates.sort((a, b) => a.lastUse - b.lastUse);
    for (const buffer of candidates) {
      // The waits of an earlier candidate let others run: look again.
      if (buffer.placement !== 'vram' || !buffer.resv.tryLock()) continue;
      const moved = this.#move(buffer, 'system');
      buffer.resv.unlock();
      if (moved.ok) return true;
    }
    return false;
  }

  #free(buffer: GpuBuffer): void {
    const at = this.#buffers.indexOf(buffer);
    if (at >= 0) this.#buffers.splice(at, 1);
    if (buffer.resv.idle(FenceUsage.BOOKKEEP)) this.#giveBack(buffer.pages, buffer.placement);
    else this.#doomed.push(buffer);
  }

  /** Frees the memory of dropped buffers whose last fence has finished since (TTM's delayed destroy). */
  #reap(): void {
    for (let i = this.#doomed.length - 1; i >= 0; i--) {
      const buffer = this.#doomed[i];
      if (!buffer.resv.idle(FenceUsage.BOOKKEEP)) continue;
      this.#doomed.splice(i, 1);
      this.#giveBack(buffer.pages, buffer.placement);
    }
  }

  #giveBack(pages: SegmentList, placement: Placement): void {
    if (placement === 'system') {
      this.#system.free(pages);
      return;
    }
    this.#vramUsed -= pages.length;
    this.#vram?.free(pages);
  }

  #bufferOf(dmabuf: DmaBuf): GpuBuffer {
    const buffer = dmabuf.priv;
    if (!(buffer instanceof GpuBuffer)) throw new RangeError(`${this.name} did not export this dma-buf`);
    return buffer;
  }
}
