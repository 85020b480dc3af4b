import type { Errno, Result } from '../dmabuf/errno.ts';
import { FenceUsage } from '../dmabuf/reservation.ts';
import { Counter } from '../measure/counters.ts';
import { FrameColumn, FrameFlag, type FrameLog } from '../measure/frame-log.ts';
import { Size } from '../protocol/layout.ts';
import { writeFlush, writeSetScanout, writeSetScanoutBlob, writeTransfer } from '../protocol/write.ts';
import type { CommandOwner } from './command-queue.ts';
import type { VirtioGpuDriver } from './driver.ts';
import { reattach } from './prime.ts';
import type { Framebuffer } from './resource.ts';

/** Pixels. */
export interface Rect {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** How long atomic_update waits for the flush fence (virtgpu_plane.c: msecs_to_jiffies(50)); the time-out is ignored. */
export const FENCE_WAIT_NS = 50e6;

export const PlaneState = {
  idle: 0,
  /** The flush fence is awaited, 50 ms at most (blob). */
  fence: 1,
  /** TRANSFER's response is awaited (no blob). */
  response: 2,
  /** Prepared, nothing sent: the exporter's fences on the buffer are awaited without limit (implicit synchronisation). */
  implicit: 3,
} as const;

const TRANSFER_DONE = 1;
const COMMIT_COMMANDS = 4;

/**
 * The primary plane of one head: prepare_fb, atomic_update, cleanup_fb. A commit is a state that is polled, as
 * Linux waits in a commit worker: the compositor may render meanwhile.
 */
export class Plane implements CommandOwner {
  readonly head: number;
  /** What the scanout shows or is about to show. */
  current: Framebuffer | null = null;
  /** Why the last `begin` failed, other than for lack of ring room. */
  lastError: { errno: Errno; why: string } | null = null;
  readonly #driver: VirtioGpuDriver;
  readonly #log: FrameLog | null;
  /** Linux without blob: the flip does not wait for the host. */
  readonly #linuxPacing: boolean;
  /** A dumb buffer that is shown already is transferred and not flushed. */
  readonly #transferOnly: boolean;
  #state: number = PlaneState.idle;
  /** `deadline[0]`: when the commit gives up waiting, ns; Infinity: it waits without limit or not at all. A slot: a double would be boxed. */
  readonly deadline = new Float64Array(1).fill(Number.POSITIVE_INFINITY);
  /** Row of the frame in commit. */
  #row = 0;
  #replaced: Framebuffer | null = null;
  /** Of the commit that waits for implicit fences. */
  #changed = false;
  #damage: Rect | null = null;

  constructor(driver: VirtioGpuDriver, head: number, log: FrameLog | null, linuxPacing: boolean, transferOnly = false) {
    this.#driver = driver;
    this.head = head;
    this.#log = log;
    this.#linuxPacing = linuxPacing;
    this.#transferOnly = transferOnly;
  }

  get idle(): boolean {
    return this.#state === PlaneState.idle;
  }

  /** Whether a commit finds room in the ring now: ATTACH_BACKING, TRANSFER, SET_SCANOUT, FLUSH go out whole or not at all. */
  get hasRoom(): boolean {
    return this.#driver.commands.hasRoom(COMMIT_COMMANDS);
  }

  /**
   * Starts a commit of `fb`: pins it, sends SET_SCANOUT(_BLOB) if the framebuffer changed, TRANSFER for a dumb
   * buffer, FLUSH; publishes all at once.
   * @param damage what changed, ignored (the whole frame counts) when the framebuffer changed
   * @param row the frame's row in the log, −1: none
   * @returns false if nothing was begun: the ring has no room now (`lastError` null), or prepare_fb failed (`lastError`)
   */
  begin(fb: Framebuffer, damage: Rect | null, row: number): boolean {
    const driver = this.#driver;
    this.lastError = null;
    if (!this.hasRoom) return false;
    const prepared = prepareFb(driver, fb);
    if (!prepared.ok) {
      this.lastError = prepared;
      return false;
    }
    this.#row = row;
    this.#replaced = this.current;
    this.#changed = this.current !== fb;
    this.#damage = damage;
    this.current = fb;
    if (this.#mayUpdate(fb)) {
      this.#commit(fb);
    } else {
      this.#state = PlaneState.implicit;
      driver.commands.notify();
    }
    return true;
  }

  /** Ends the commit if what it waits for has come. @returns true when the plane is idle */
  poll(): boolean {
    if (this.#state === PlaneState.idle) return true;
    const { clock } = this.#driver;
    const fb = this.current;
    if (this.#state === PlaneState.implicit) {
      if (fb === null || !this.#mayUpdate(fb)) return false;
      this.#commit(fb);
      return this.idle;
    }
    if (this.#state === PlaneState.fence) {
      const fence = fb === null ? null : fb.fence;
      if (fence !== null && fence.state === 'pending') {
        clock.read();
        if (clock.slot[0] < this.deadline[0]) return false;
        this.#driver.counters.add(Counter.fencesTimedOut, 1);
        if (fb !== null) fb.overdue = fence;
        if (this.#log !== null && this.#row >= 0) {
          const at = this.#row + FrameColumn.guestFlags;
          this.#log.cells[at] = this.#log.cells[at] | FrameFlag.timedOut;
        }
      } else if (this.#log !== null && this.#row >= 0) {
        if (fence !== null && fence.state === 'cancelled') {
          // The device was reset: the frame has no answer, so it is no sample.
          const at = this.#row + FrameColumn.guestFlags;
          this.#log.cells[at] = this.#log.cells[at] | FrameFlag.cancelled;
        } else {
          clock.read();
          this.#log.cells[this.#row + FrameColumn.fenceSeen] = clock.slot[0];
        }
      }
      this.#finish();
      return true;
    }
    return false;
  }

  /** TRANSFER's response (no blob). */
  commandDone(kind: number): void {
    if (kind !== TRANSFER_DONE) return;
    if (this.#log !== null && this.#row >= 0 && this.#state === PlaneState.response) {
      const { clock } = this.#driver;
      clock.read();
      this.#log.cells[this.#row + FrameColumn.responseSeen] = clock.slot[0];
    }
    if (this.#state === PlaneState.response) this.#finish();
  }

  /** Mode set or disable: SET_SCANOUT with resource 0; the framebuffer's pin is dropped. */
  disable(): void {
    const driver = this.#driver;
    const { commands } = driver;
    if (this.#state !== PlaneState.idle) driver.waitFor(() => this.poll(), this.deadline[0]);
    const slot = driver.openCommand();
    const bytes = writeSetScanout(commands.words, commands.requestWord(slot), 0, 0, 0, 0, this.head, 0);
    driver.submit(slot, bytes, Size.header, 0, 0, null, null, 0);
    commands.notify();
    if (this.current !== null) cleanupFb(driver, this.current);
    this.current = null;
  }

  /**
   * The fences that prepare_fb collects are done (drm_gem_plane_helper_prepare_fb, drm_atomic_helper_wait_for_fences), and
   * the ring still takes the commit: ATTACH_BACKING's entries, or another head, may have taken room meanwhile.
   */
  #mayUpdate(fb: Framebuffer): boolean {
    const { resource } = fb;
    if (resource.kind === 'imported' && !resource.resv.idle(FenceUsage.WRITE)) return false;
    return this.#driver.commands.hasRoom(COMMIT_COMMANDS - 1);
  }

  #commit(fb: Framebuffer): void {
    if (this.#row >= 0) this.#stampSubmit(this.#row, fb);
    this.#update(fb, this.#changed, this.#changed ? null : this.#damage);
    this.#driver.commands.notify();
  }

  #stampSubmit(row: number, fb: Framebuffer): void {
    const log = this.#log;
    if (log === null) return;
    const { clock } = this.#driver;
    clock.read();
    log.cells[row + FrameColumn.submit] = clock.slot[0];
    if (fb.reattached) log.cells[row + FrameColumn.guestFlags] = log.cells[row + FrameColumn.guestFlags] | FrameFlag.reattached;
  }

  /** virtio_gpu_primary_plane_update. */
  #update(fb: Framebuffer, changed: boolean, damage: Rect | null): void {
    const driver = this.#driver;
    const { commands } = driver;
    const { resource } = fb;
    const words = commands.words;
    const x = damage === null ? 0 : damage.x;
    const y = damage === null ? 0 : damage.y;
    const width = damage === null ? fb.width : damage.width;
    const height = damage === null ? fb.height : damage.height;
    const waits = !driver.hasBlob && resource.kind === 'dumb' && !this.#linuxPacing;
    if (resource.kind === 'dumb') {
      // Linux sends it for dumb blobs too, where the device has nothing to do.
      const slot = commands.open();
      const offset = y * fb.stride + x * 4;
      const bytes = writeTransfer(words, commands.requestWord(slot), x, y, width, height, offset, 0, resource.id);
      commands.submit(slot, bytes, Size.header, 0, 0, null, waits ? this : null, TRANSFER_DONE);
    }
    if (changed) {
      const slot = commands.open();
      const at = commands.requestWord(slot);
      const bytes = driver.hasBlob
        ? writeSetScanoutBlob(words, at, 0, 0, fb.width, fb.height, this.head, resource.id, fb.width, fb.height, fb.format, fb.stride, 0)
        : writeSetScanout(words, at, 0, 0, fb.width, fb.height, this.head, resource.id);
      commands.submit(slot, bytes, Size.header, 0, 0, null, null, 0);
    }
    if (this.#transferOnly && waits && !changed) {
      this.#state = PlaneState.response;
      return;
    }
    const slot = commands.open();
    const bytes = writeFlush(words, commands.requestWord(slot), x, y, width, height, resource.id);
    driver.counters.add(Counter.flushes, 1);
    const { fence } = fb;
    if (fence !== null && resource.kind === 'imported' && resource.dmabuf !== null) {
      const { resv } = resource;
      resv.lock();
      commands.submit(slot, bytes, Size.header, 0, 0, fence, null, 0);
      resv.addFence(fence, FenceUsage.WRITE);
      resv.unlock();
    } else {
      commands.submit(slot, bytes, Size.header, 0, 0, fence, null, 0);
    }
    if (fence !== null) {
      driver.clock.read();
      this.deadline[0] = driver.clock.slot[0] + FENCE_WAIT_NS;
      this.#state = PlaneState.fence;
    } else if (waits) {
      this.#state = PlaneState.response;
    } else {
      this.#state = PlaneState.idle;
      this.#release();
    }
  }

  #finish(): void {
    this.deadline[0] = Number.POSITIVE_INFINITY;
    this.#state = PlaneState.idle;
    this.#release();
  }

  /** cleanup_fb of the framebuffer that was replaced; the new one's fence has done its work. */
  #release(): void {
    const old = this.#replaced;
    this.#replaced = null;
    if (old !== null) cleanupFb(this.#driver, old);
    const { current } = this;
    if (current !== null && current.fence !== null) {
      this.#driver.dropFence(current.fence);
      current.fence = null;
    }
  }
}

/**
 * virtio_gpu_plane_prepare_fb: the flush fence, and for an imported buffer the pin and, after a move, the mapping.
 * What was taken is given back if a later step fails.
 */
export function prepareFb(driver: VirtioGpuDriver, fb: Framebuffer): Result<void> {
  const { resource } = fb;
  fb.reattached = false;
  if (!driver.hasBlob) return DONE;
  const fence = driver.allocateFlushFence();
  if (fence === null) return NO_FENCE;
  if (resource.kind === 'imported') {
    const { dmabuf, attachment } = resource;
    if (dmabuf === null || attachment === null) {
      giveBack(driver, fence);
      return FREED;
    }
    dmabuf.resv.lock();
    const pinned = attachment.pin();
    if (!pinned.ok) {
      dmabuf.resv.unlock();
      giveBack(driver, fence);
      return pinned;
    }
    if (!resource.attached) {
      const mapped = reattach(driver, resource);
      if (!mapped.ok) {
        attachment.unpin();
        dmabuf.resv.unlock();
        giveBack(driver, fence);
        return mapped;
      }
      fb.reattached = true;
    }
    dmabuf.resv.unlock();
  }
  fb.fence = fence;
  return DONE;
}

/** virtio_gpu_plane_cleanup_fb: drops the fence, unpins. */
export function cleanupFb(driver: VirtioGpuDriver, fb: Framebuffer): void {
  if (fb.fence !== null) {
    driver.dropFence(fb.fence);
    fb.fence = null;
  }
  const { resource } = fb;
  if (resource.kind !== 'imported' || resource.dmabuf === null || resource.attachment === null) return;
  const { resv } = resource.dmabuf;
  resv.lock();
  resource.attachment.unpin();
  resv.unlock();
}

/** A fence that was allocated and never sent. */
function giveBack(driver: VirtioGpuDriver, fence: { cancel(): void } & Parameters<VirtioGpuDriver['dropFence']>[0]): void {
  fence.cancel();
  driver.dropFence(fence);
}

const DONE: Result<void> = { ok: true, value: undefined };
const NO_FENCE: Result<void> = { ok: false, errno: 'ENOMEM', why: 'no memory for the flush fence' };
const FREED: Result<void> = { ok: false, errno: 'ENODEV', why: 'the buffer was freed' };
