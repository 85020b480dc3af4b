import type { Fence } from '../dmabuf/fence.ts';
import { Counter, type Counters } from '../measure/counters.ts';
import type { MemoryRegion } from '../memory/region.ts';
import { Flag, Response } from '../protocol/constants.ts';
import { Header } from '../protocol/layout.ts';
import { setFence } from '../protocol/write.ts';
import type { Doorbell } from '../ring/doorbell.ts';
import type { DriverQueue } from '../ring/queue.ts';

/** Told when the response to one of its commands has arrived. */
export interface CommandOwner {
  /**
   * @param kind what the owner passed to `submit`
   * @param response the response's type (Response.*)
   * @param slot where the response lies until this call returns: `responseWord(slot)`
   */
  commandDone(kind: number, response: number, slot: number): void;
}

/** Bytes of guest memory a command in flight takes: the request at 0, the response at `RESPONSE_OFFSET`. */
export const COMMAND_SLOT_BYTES = 2048;
const RESPONSE_OFFSET = 256;
const PAGE = 4096;

/**
 * The control queue as the driver uses it: a slot of guest memory for each command in flight, fences numbered
 * under the queue at enqueue, owners told when their response arrives. No allocation once built.
 */
export class CommandQueue {
  readonly #queue: DriverQueue;
  readonly #region: MemoryRegion;
  readonly #words: Uint32Array;
  readonly #base: number;
  readonly #slots: number;
  readonly #counters: Counters;
  readonly #hostDoorbell: Doorbell;
  readonly #freeSlots: Int32Array;
  #free: number;
  /** Ring descriptors that a command without entries takes: one in an INDIRECT table, else request and response. */
  readonly #descriptors: number;
  readonly #owner: (CommandOwner | null)[];
  readonly #kind: Int32Array;
  #unpublished = 0;
  #inFlight = 0;
  // The next fence id, a device-wide u64 that only grows (virtgpu_fence.c).
  #fenceLo = 1;
  #fenceHi = 0;
  // Fences sent and not yet answered, oldest first: a ring.
  readonly #pending: (Fence | null)[];
  readonly #pendingLo: Int32Array;
  readonly #pendingHi: Int32Array;
  #pendingFirst = 0;
  #pendingCount = 0;

  /**
   * @param offset byte offset in `region` of `slots` × COMMAND_SLOT_BYTES bytes, page-aligned
   * @param indirect INDIRECT_DESC was negotiated
   */
  constructor(
    queue: DriverQueue,
    region: MemoryRegion,
    offset: number,
    slots: number,
    counters: Counters,
    hostDoorbell: Doorbell,
    indirect = true,
  ) {
    this.#queue = queue;
    this.#region = region;
    this.#words = region.u32;
    this.#base = offset;
    this.#slots = slots;
    this.#counters = counters;
    this.#hostDoorbell = hostDoorbell;
    this.#descriptors = indirect ? 1 : 2;
    this.#freeSlots = new Int32Array(slots);
    for (let i = 0; i < slots; i++) this.#freeSlots[i] = slots - 1 - i;
    this.#free = slots;
    this.#owner = new Array<CommandOwner | null>(slots).fill(null);
    this.#kind = new Int32Array(slots);
    this.#pending = new Array<Fence | null>(slots).fill(null);
    this.#pendingLo = new Int32Array(slots);
    this.#pendingHi = new Int32Array(slots);
  }

  /** The words commands are written into, at the index that `open` gives. */
  get words(): Uint32Array {
    return this.#words;
  }

  /** Commands sent and not yet answered. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Whether `commands` commands without entries fit now (without INDIRECT_DESC entries take descriptors of their own). */
  hasRoom(commands: number): boolean {
    return this.#free >= commands && this.#queue.free >= commands * this.#descriptors;
  }

  /** Takes a slot; -1 when none is free. Write the request at `requestWord(slot)`, then `submit`. */
  open(): number {
    if (this.#free === 0) return -1;
    this.#free--;
    return this.#freeSlots[this.#free];
  }

  requestWord(slot: number): number {
    return (this.#base + slot * COMMAND_SLOT_BYTES) / 4;
  }

  responseWord(slot: number): number {
    return (this.#base + slot * COMMAND_SLOT_BYTES + RESPONSE_OFFSET) / 4;
  }

  /**
   * Enqueues the command in `slot`, unpublished.
   * @param requestBytes bytes of the request at `requestWord(slot)`
   * @param responseBytes room for the response
   * @param entriesAddress guest-physical address of its mem_entry array (page-aligned), 0: none
   * @param entriesBytes bytes of that array
   * @param fence signalled by the response, null: unfenced
   * @returns false when the ring is full: nothing was sent, the slot and the request in it stay the caller's
   */
  submit(
    slot: number,
    requestBytes: number,
    responseBytes: number,
    entriesAddress: number,
    entriesBytes: number,
    fence: Fence | null,
    owner: CommandOwner | null,
    kind: number,
  ): boolean {
    const request = this.#base + slot * COMMAND_SLOT_BYTES;
    const queue = this.#queue;
    if (fence !== null) setFence(this.#words, request / 4, this.#fenceLo, this.#fenceHi);
    const gpa = this.#region.gpa;
    queue.begin();
    queue.readable(gpa + request, requestBytes);
    // The entries are vmalloc memory in the kernel: one descriptor a page (virtgpu_vq.c, vmalloc_to_sgt).
    for (let at = 0; at < entriesBytes; at += PAGE) queue.readable(entriesAddress + at, Math.min(PAGE, entriesBytes - at));
    queue.writable(gpa + request + RESPONSE_OFFSET, responseBytes);
    // A response of type 0 would be one that never came.
    this.#words[(request + RESPONSE_OFFSET) / 4] = 0;
    if (!queue.submit(slot)) return false;
    if (fence !== null) {
      const at = (this.#pendingFirst + this.#pendingCount) % this.#slots;
      this.#pending[at] = fence;
      this.#pendingLo[at] = this.#fenceLo;
      this.#pendingHi[at] = this.#fenceHi;
      this.#pendingCount++;
      this.#fenceLo = (this.#fenceLo + 1) | 0;
      if (this.#fenceLo === 0) this.#fenceHi = (this.#fenceHi + 1) | 0;
    }
    this.#owner[slot] = owner;
    this.#kind[slot] = kind;
    this.#unpublished++;
    this.#inFlight++;
    return true;
  }

  /** Publishes what was submitted and kicks the host if it wants a kick. */
  notify(): void {
    if (this.#unpublished === 0) return;
    this.#unpublished = 0;
    if (this.#queue.publish()) {
      this.#counters.add(Counter.kicks, 1);
      this.#hostDoorbell.ring();
    } else {
      this.#counters.add(Counter.kicksSuppressed, 1);
    }
  }

  /** Takes every response that has arrived. Returns whether there was any. */
  poll(): boolean {
    const queue = this.#queue;
    let progressed = false;
    while (queue.popUsed()) {
      progressed = true;
      const slot = queue.usedToken;
      const at = this.responseWord(slot);
      // RACE: written by the host; ordered by the used index that popUsed() loaded.
      const type = this.#words[at + Header.type];
      this.#inFlight--;
      this.#counters.add(Counter.commands, 1);
      if (type < Response.OK_NODATA || type >= Response.ERR_UNSPEC) this.#counters.add(Counter.errorResponses, 1);
      if ((this.#words[at + Header.flags] & Flag.FENCE) !== 0) {
        this.#signal(this.#words[at + Header.fenceLo] | 0, this.#words[at + Header.fenceHi] | 0);
      }
      const owner = this.#owner[slot];
      this.#owner[slot] = null;
      if (owner !== null) owner.commandDone(this.#kind[slot], type, slot);
      this.#freeSlots[this.#free++] = slot;
    }
    return progressed;
  }

  enableInterrupts(): boolean {
    return this.#queue.enableInterrupts();
  }

  disableInterrupts(): void {
    this.#queue.disableInterrupts();
  }

  /** Ends every pending fence `cancelled`: the device was reset and will not answer. @returns how many there were */
  cancelFences(): number {
    const pending = this.#pendingCount;
    while (this.#pendingCount > 0) this.#takeFirst()?.cancel();
    return pending;
  }

  /** Signals the fence with this id and every earlier one (virtgpu_fence.c, virtio_gpu_fence_event_process). */
  #signal(lo: number, hi: number): void {
    let match = -1;
    for (let i = 0; i < this.#pendingCount; i++) {
      const at = (this.#pendingFirst + i) % this.#slots;
      if (this.#pendingLo[at] === lo && this.#pendingHi[at] === hi) {
        match = i;
        break;
      }
    }
    for (let i = 0; i <= match; i++) this.#takeFirst()?.signal();
  }

  #takeFirst(): Fence | null {
    const fence = this.#pending[this.#pendingFirst];
    this.#pending[this.#pendingFirst] = null;
    this.#pendingFirst = (this.#pendingFirst + 1) % this.#slots;
    this.#pendingCount--;
    return fence;
  }
}
