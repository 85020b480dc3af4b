import { Counter, type Counters } from '../measure/counters.ts';
import type { MemoryRegion } from '../memory/region.ts';
import { Command, Format } from '../protocol/constants.ts';
import { Size } from '../protocol/layout.ts';
import { writeTransfer, writeUpdateCursor } from '../protocol/write.ts';
import type { Doorbell } from '../ring/doorbell.ts';
import type { DriverQueue } from '../ring/queue.ts';
import { COMMAND_SLOT_BYTES } from './command-queue.ts';
import type { VirtioGpuDriver } from './driver.ts';
import type { DumbBuffer } from './resource.ts';

export const CURSOR_SIZE = 64;

/** The cursor queue: one readable buffer of 56 bytes a command, nothing writable, used length 0. */
export class CursorQueue {
  readonly #queue: DriverQueue;
  readonly #region: MemoryRegion;
  readonly #base: number;
  readonly #freeSlots: Int32Array;
  #free: number;
  readonly #counters: Counters;
  readonly #hostDoorbell: Doorbell;

  constructor(queue: DriverQueue, region: MemoryRegion, offset: number, slots: number, counters: Counters, hostDoorbell: Doorbell) {
    this.#queue = queue;
    this.#region = region;
    this.#base = offset;
    this.#counters = counters;
    this.#hostDoorbell = hostDoorbell;
    this.#freeSlots = new Int32Array(slots);
    for (let i = 0; i < slots; i++) this.#freeSlots[i] = slots - 1 - i;
    this.#free = slots;
  }

  hasRoom(): boolean {
    return this.#free > 0 && this.#queue.free > 0;
  }

  /**
   * Sends UPDATE_CURSOR or MOVE_CURSOR.
   * @returns false when the queue is full: nothing was sent
   */
  send(type: number, scanout: number, x: number, y: number, resource: number, hotX: number, hotY: number): boolean {
    if (!this.hasRoom()) return false;
    const slot = this.#freeSlots[--this.#free];
    const offset = this.#base + slot * COMMAND_SLOT_BYTES;
    const bytes = writeUpdateCursor(this.#region.u32, offset / 4, type, scanout, x, y, resource, hotX, hotY);
    this.#queue.begin();
    this.#queue.readable(this.#region.gpa + offset, bytes);
    if (!this.#queue.submit(slot)) {
      this.#freeSlots[this.#free++] = slot;
      return false;
    }
    if (this.#queue.publish()) {
      this.#counters.add(Counter.kicks, 1);
      this.#hostDoorbell.ring();
    } else {
      this.#counters.add(Counter.kicksSuppressed, 1);
    }
    return true;
  }

  poll(): boolean {
    let progressed = false;
    while (this.#queue.popUsed()) {
      progressed = true;
      this.#freeSlots[this.#free++] = this.#queue.usedToken;
    }
    return progressed;
  }

  enableInterrupts(): boolean {
    return this.#queue.enableInterrupts();
  }

  disableInterrupts(): void {
    this.#queue.disableInterrupts();
  }
}

/** The cursor plane of one head (virtgpu_plane.c, virtio_gpu_cursor_plane_update). */
export class CursorPlane {
  readonly #driver: VirtioGpuDriver;
  readonly #scanout: number;
  readonly buffer: DumbBuffer;

  /** Creates the 64×64 cursor buffer. */
  constructor(driver: VirtioGpuDriver, scanout: number) {
    this.#driver = driver;
    this.#scanout = scanout;
    this.buffer = driver.createDumb(CURSOR_SIZE, CURSOR_SIZE, 'contiguous', Format.B8G8R8A8);
  }

  /** Shows the buffer's present content: without blob a fenced TRANSFER waited for without limit, then UPDATE_CURSOR. */
  update(x: number, y: number, hotX: number, hotY: number): void {
    const driver = this.#driver;
    if (!this.buffer.blob) {
      const { commands } = driver;
      const slot = driver.openCommand();
      const bytes = writeTransfer(commands.words, commands.requestWord(slot), 0, 0, CURSOR_SIZE, CURSOR_SIZE, 0, 0, this.buffer.id);
      const fence = driver.newFence();
      driver.submit(slot, bytes, Size.header, 0, 0, fence, null, 0);
      commands.notify();
      driver.waitFor(() => fence.state !== 'pending');
    }
    this.#send(Command.UPDATE_CURSOR, x, y, hotX, hotY);
  }

  move(x: number, y: number): void {
    this.#send(Command.MOVE_CURSOR, x, y, 0, 0);
  }

  #send(type: number, x: number, y: number, hotX: number, hotY: number): void {
    const { cursor } = this.#driver;
    while (!cursor.send(type, this.#scanout, x, y, this.buffer.id, hotX, hotY)) this.#driver.waitFor(() => cursor.hasRoom());
  }
}
