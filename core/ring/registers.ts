/**
 * The transport's registers, in shared memory: what virtio 1.3 § 4.2.2 puts into device registers and
 * § 5.7.4 into the configuration space, plus what a session of two threads needs (memory table, liveness).
 * Each cell has one writer unless its comment says otherwise; every access is atomic (sequentially consistent).
 */

/** Device status bits (virtio 1.3 § 2.1). */
export const Status = {
  ACKNOWLEDGE: 1,
  DRIVER: 2,
  DRIVER_OK: 4,
  FEATURES_OK: 8,
  NEEDS_RESET: 64,
  FAILED: 128,
} as const;

/** Interrupt status bits (virtio 1.3 § 4.2.2, InterruptStatus). */
export const Interrupt = { USED_BUFFER: 1, CONFIG_CHANGE: 2 } as const;

/** Bits of events_read (virtio 1.3 § 5.7.4). */
export const Event = { DISPLAY: 1 } as const;

export const CONTROL_QUEUE = 0;
export const CURSOR_QUEUE = 1;
export const QUEUES = 2;

/** What a side last said of itself in its alive word. */
export const Alive = { absent: 0, starting: 1, running: 2, stopped: 3, failed: 4 } as const;

/** 128 bytes: two cache lines, for the adjacent-line prefetcher would couple neighbours. */
const LINE = 32;
const TWO_32 = 4294967296;

const STATUS = 0;
const DEVICE_STATUS = 1;
const DEVICE_FEATURES = 2;
const DRIVER_FEATURES = 4;
const CONFIG_GENERATION = 6;
const INTERRUPT_STATUS = 7;
const NUM_SCANOUTS = 8;
const NUM_CAPSETS = 9;
const EVENTS_READ = 10;
const EVENTS_CLEAR = 11;
const PRESENT_MASK = 12;
const TABLE_GENERATION = 13;
const HOST_TABLE_GENERATION = 14;
const STOP = 15;
const GENERATION = 16;
const HOST_ALIVE = 17;
const GUEST_ALIVE = 18;
const STATUS_SEEN = 19;
const QUEUE_FIRST = LINE;
const QUEUE_WORDS = 8;
const HOST_DOORBELL = 2 * LINE;
const GUEST_DOORBELL = 3 * LINE;

export class DeviceRegisters {
  /** Int32 cells taken. The base should be a multiple of 32 cells, so that doorbells have lines of their own. */
  static readonly words: number = 4 * LINE;

  readonly cells: Int32Array;
  readonly base: number;
  /** Index in `cells` of the doorbell that wakes the host (kicks); see `AtomicsDoorbell`. */
  readonly hostDoorbell: number;
  /** Index in `cells` of the doorbell that wakes the guest (interrupts). */
  readonly guestDoorbell: number;

  /** @throws RangeError when the cells do not fit */
  constructor(cells: Int32Array, base = 0) {
    if (!Number.isInteger(base) || base < 0 || base + DeviceRegisters.words > cells.length) {
      throw new RangeError(`device registers need ${DeviceRegisters.words} cells from ${base}; there are ${cells.length}`);
    }
    this.cells = cells;
    this.base = base;
    this.hostDoorbell = base + HOST_DOORBELL;
    this.guestDoorbell = base + GUEST_DOORBELL;
  }

  /** What the driver wrote last; 0 asks for a reset. */
  get status(): number {
    return Atomics.load(this.cells, this.base + STATUS);
  }
  set status(value: number) {
    Atomics.store(this.cells, this.base + STATUS, value);
  }

  /** The status in force, written by the device: the driver waits for it after each write of `status`. */
  get deviceStatus(): number {
    return Atomics.load(this.cells, this.base + DEVICE_STATUS);
  }
  set deviceStatus(value: number) {
    Atomics.store(this.cells, this.base + DEVICE_STATUS, value);
  }

  /**
   * The last `status` that the device has dealt with. A register read answers at once on real hardware; here the
   * driver waits for this before it reads `deviceStatus`, or a refused FEATURES_OK would look like a slow device.
   */
  get statusSeen(): number {
    return Atomics.load(this.cells, this.base + STATUS_SEEN);
  }
  set statusSeen(value: number) {
    Atomics.store(this.cells, this.base + STATUS_SEEN, value);
  }

  /** Feature bits 0–31 that the device offers, as u32. */
  get deviceFeaturesLo(): number {
    return Atomics.load(this.cells, this.base + DEVICE_FEATURES) >>> 0;
  }
  /** Feature bits 32–63 that the device offers, as u32. */
  get deviceFeaturesHi(): number {
    return Atomics.load(this.cells, this.base + DEVICE_FEATURES + 1) >>> 0;
  }
  setDeviceFeatures(lo: number, hi: number): void {
    Atomics.store(this.cells, this.base + DEVICE_FEATURES, lo);
    Atomics.store(this.cells, this.base + DEVICE_FEATURES + 1, hi);
  }

  /** Feature bits 0–31 that the driver accepted, as u32. */
  get driverFeaturesLo(): number {
    return Atomics.load(this.cells, this.base + DRIVER_FEATURES) >>> 0;
  }
  /** Feature bits 32–63 that the driver accepted, as u32. */
  get driverFeaturesHi(): number {
    return Atomics.load(this.cells, this.base + DRIVER_FEATURES + 1) >>> 0;
  }
  setDriverFeatures(lo: number, hi: number): void {
    Atomics.store(this.cells, this.base + DRIVER_FEATURES, lo);
    Atomics.store(this.cells, this.base + DRIVER_FEATURES + 1, hi);
  }

  /** Changes with the configuration space; a reader reads it before and after (virtio 1.3 § 2.5.1). */
  get configGeneration(): number {
    return Atomics.load(this.cells, this.base + CONFIG_GENERATION);
  }
  /** Device: counts a change of the configuration space. */
  bumpConfigGeneration(): void {
    Atomics.add(this.cells, this.base + CONFIG_GENERATION, 1);
  }

  get interruptStatus(): number {
    return Atomics.load(this.cells, this.base + INTERRUPT_STATUS);
  }
  /** Device: sets bits of `Interrupt`. The doorbell is rung apart. */
  raiseInterrupt(bits: number): void {
    Atomics.or(this.cells, this.base + INTERRUPT_STATUS, bits);
  }
  /** Driver: takes all pending bits and clears them. */
  takeInterrupts(): number {
    // Most calls find nothing: a load keeps the line shared.
    if (Atomics.load(this.cells, this.base + INTERRUPT_STATUS) === 0) return 0;
    return Atomics.exchange(this.cells, this.base + INTERRUPT_STATUS, 0);
  }

  /** Configuration space, written by the device. */
  get numScanouts(): number {
    return Atomics.load(this.cells, this.base + NUM_SCANOUTS);
  }
  set numScanouts(value: number) {
    Atomics.store(this.cells, this.base + NUM_SCANOUTS, value);
  }
  get numCapsets(): number {
    return Atomics.load(this.cells, this.base + NUM_CAPSETS);
  }
  set numCapsets(value: number) {
    Atomics.store(this.cells, this.base + NUM_CAPSETS, value);
  }

  /** events_read: only the device writes this cell, so a driver's write to it has no register to go to. */
  get eventsRead(): number {
    return Atomics.load(this.cells, this.base + EVENTS_READ);
  }
  /** Device: sets bits of `Event` in events_read. */
  raiseEvents(bits: number): void {
    Atomics.or(this.cells, this.base + EVENTS_READ, bits);
  }
  /** Driver: writes events_clear; the device then clears these bits of events_read (write 1 to clear). */
  clearEvents(bits: number): void {
    Atomics.or(this.cells, this.base + EVENTS_CLEAR, bits);
  }
  get eventsClear(): number {
    return Atomics.load(this.cells, this.base + EVENTS_CLEAR);
  }
  /** Device: carries out pending writes of events_clear. Returns the bits cleared. */
  takeEventsClear(): number {
    if (Atomics.load(this.cells, this.base + EVENTS_CLEAR) === 0) return 0;
    const bits = Atomics.exchange(this.cells, this.base + EVENTS_CLEAR, 0);
    Atomics.and(this.cells, this.base + EVENTS_READ, ~bits);
    return bits;
  }

  /** Bit n: memory region id n is present. Written by whoever owns the machine, followed by `bumpTableGeneration`. */
  get presentMask(): number {
    return Atomics.load(this.cells, this.base + PRESENT_MASK) >>> 0;
  }
  set presentMask(value: number) {
    Atomics.store(this.cells, this.base + PRESENT_MASK, value);
  }
  get tableGeneration(): number {
    return Atomics.load(this.cells, this.base + TABLE_GENERATION);
  }
  /** Says that `presentMask` changed. Returns the new generation. */
  bumpTableGeneration(): number {
    return (Atomics.add(this.cells, this.base + TABLE_GENERATION, 1) + 1) | 0;
  }
  /** The table generation that the host has carried out. */
  get hostTableGeneration(): number {
    return Atomics.load(this.cells, this.base + HOST_TABLE_GENERATION);
  }
  set hostTableGeneration(value: number) {
    Atomics.store(this.cells, this.base + HOST_TABLE_GENERATION, value);
  }

  /** Non-zero: both sides are asked to end. */
  get stopRequested(): boolean {
    return Atomics.load(this.cells, this.base + STOP) !== 0;
  }
  /** Asks both sides to end; wakes them whether or not they sleep. */
  requestStop(): void {
    Atomics.store(this.cells, this.base + STOP, 1);
    Atomics.add(this.cells, this.hostDoorbell, 1);
    Atomics.notify(this.cells, this.hostDoorbell);
    Atomics.add(this.cells, this.guestDoorbell, 1);
    Atomics.notify(this.cells, this.guestDoorbell);
  }
  clearStop(): void {
    Atomics.store(this.cells, this.base + STOP, 0);
  }

  /** Session id: handles of an older generation are refused. */
  get generation(): number {
    return Atomics.load(this.cells, this.base + GENERATION);
  }
  set generation(value: number) {
    Atomics.store(this.cells, this.base + GENERATION, value);
  }

  /** A value of `Alive`, written by the host's thread. */
  get hostAlive(): number {
    return Atomics.load(this.cells, this.base + HOST_ALIVE);
  }
  set hostAlive(value: number) {
    Atomics.store(this.cells, this.base + HOST_ALIVE, value);
  }
  /** A value of `Alive`, written by the guest's thread. */
  get guestAlive(): number {
    return Atomics.load(this.cells, this.base + GUEST_ALIVE);
  }
  set guestAlive(value: number) {
    Atomics.store(this.cells, this.base + GUEST_ALIVE, value);
  }

  queueSize(queue: number): number {
    return Atomics.load(this.cells, this.#queue(queue));
  }
  setQueueSize(queue: number, size: number): void {
    Atomics.store(this.cells, this.#queue(queue), size);
  }
  queueReady(queue: number): boolean {
    return Atomics.load(this.cells, this.#queue(queue) + 1) === 1;
  }
  setQueueReady(queue: number, ready: boolean): void {
    Atomics.store(this.cells, this.#queue(queue) + 1, ready ? 1 : 0);
  }

  /** Guest-physical address of the queue's descriptor table. Addresses may be any u64; past 2^53 they lose low bits. */
  queueDescriptorAddress(queue: number): number {
    return this.#address(queue, 2);
  }
  /** Guest-physical address of the driver area (split: available ring). */
  queueDriverAddress(queue: number): number {
    return this.#address(queue, 4);
  }
  /** Guest-physical address of the device area (split: used ring). */
  queueDeviceAddress(queue: number): number {
    return this.#address(queue, 6);
  }
  /** Sets the queue's three areas. @throws RangeError for an address that is not an integer in [0, 2^53 − 1] */
  setQueueAddresses(queue: number, descriptor: number, driver: number, device: number): void {
    this.#setAddress(queue, 2, descriptor);
    this.#setAddress(queue, 4, driver);
    this.#setAddress(queue, 6, device);
  }

  /**
   * Device: back to the state after reset (virtio 1.3 § 2.1, status 0): queues not ready, nothing negotiated, no
   * event or interrupt pending. The memory table, liveness, stop and session id are the session's and stay.
   */
  reset(): void {
    for (let queue = 0; queue < QUEUES; queue++) {
      const at = this.#queue(queue);
      for (let i = 0; i < QUEUE_WORDS; i++) Atomics.store(this.cells, at + i, 0);
    }
    this.setDriverFeatures(0, 0);
    Atomics.store(this.cells, this.base + EVENTS_READ, 0);
    Atomics.store(this.cells, this.base + EVENTS_CLEAR, 0);
    Atomics.store(this.cells, this.base + INTERRUPT_STATUS, 0);
    this.deviceStatus = 0;
  }

  #queue(queue: number): number {
    if (queue !== CONTROL_QUEUE && queue !== CURSOR_QUEUE) throw new RangeError(`there is no queue ${queue}`);
    return this.base + QUEUE_FIRST + queue * QUEUE_WORDS;
  }

  #address(queue: number, word: number): number {
    const at = this.#queue(queue) + word;
    return (Atomics.load(this.cells, at + 1) >>> 0) * TWO_32 + (Atomics.load(this.cells, at) >>> 0);
  }

  #setAddress(queue: number, word: number, address: number): void {
    if (!Number.isSafeInteger(address) || address < 0) throw new RangeError(`queue ${queue}: ${address} is no address`);
    const at = this.#queue(queue) + word;
    Atomics.store(this.cells, at, (address % TWO_32) | 0);
    Atomics.store(this.cells, at + 1, Math.floor(address / TWO_32));
  }
}
