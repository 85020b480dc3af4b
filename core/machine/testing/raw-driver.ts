import type { AddressSpace } from '../../memory/address-space.ts';
import type { MemoryRegion } from '../../memory/region.ts';
import type { QueueConfig } from '../../ring/queue.ts';
import { AVAIL_IDX, AVAIL_RING, DESCRIPTOR_BYTES, USED_IDX, USED_RING, usedEventIndex } from '../../ring/split/layout.ts';

/** A descriptor as any bytes a guest may write: a 64-bit address, u32 length, u16 flags and next. */
export interface RawDescriptor {
  address: number | bigint;
  length: number;
  flags?: number;
  next?: number;
}

/**
 * A split-ring driver that checks nothing and keeps no promise: it writes the descriptors, indices and heads it is
 * told to. For hostile-guest tests and benchmarks; shared so that both speak of the same bytes.
 */
export class RawDriver {
  readonly config: QueueConfig;
  readonly #space: AddressSpace;

  constructor(space: AddressSpace, config: QueueConfig) {
    this.#space = space;
    this.config = config;
  }

  /** Writes descriptor `index` of the ring's own table. */
  descriptor(index: number, descriptor: RawDescriptor): void {
    this.tableDescriptor(this.config.descriptorAddress, index, descriptor);
  }

  /** Writes descriptor `index` of a table anywhere in guest memory. */
  tableDescriptor(table: number, index: number, descriptor: RawDescriptor): void {
    const bytes = new DataView(new ArrayBuffer(DESCRIPTOR_BYTES));
    bytes.setBigUint64(0, BigInt.asUintN(64, BigInt(descriptor.address)), true);
    bytes.setUint32(8, descriptor.length, true);
    bytes.setUint16(12, descriptor.flags ?? 0, true);
    bytes.setUint16(14, descriptor.next ?? 0, true);
    this.write(table + index * DESCRIPTOR_BYTES, new Uint8Array(bytes.buffer));
  }

  /** Writes a whole indirect table, linking nothing by itself. */
  table(address: number, descriptors: readonly RawDescriptor[]): void {
    for (const [index, descriptor] of descriptors.entries()) this.tableDescriptor(address, index, descriptor);
  }

  /** Puts `head` into the next available entry and makes it visible. */
  offer(head: number): void {
    const index = this.availIndex;
    this.entry(index, head);
    this.availIndex = index + 1;
  }

  /** Writes the available entry that belongs to free-running index `index`, without publishing it. */
  entry(index: number, head: number): void {
    const { region, offset } = this.#find(this.config.driverAddress, 4);
    Atomics.store(region.u16, offset / 2 + AVAIL_RING + (index & (this.config.size - 1)), head);
  }

  get availIndex(): number {
    const { region, offset } = this.#find(this.config.driverAddress, 4);
    return Atomics.load(region.u16, offset / 2 + AVAIL_IDX);
  }
  set availIndex(value: number) {
    const { region, offset } = this.#find(this.config.driverAddress, 4);
    Atomics.store(region.u16, offset / 2 + AVAIL_IDX, value);
  }

  set availFlags(value: number) {
    const { region, offset } = this.#find(this.config.driverAddress, 4);
    Atomics.store(region.u16, offset / 2, value);
  }

  set usedEvent(value: number) {
    const { region, offset } = this.#find(this.config.driverAddress, 4);
    Atomics.store(region.u16, offset / 2 + usedEventIndex(this.config.size), value);
  }

  get usedIndex(): number {
    const { region, offset } = this.#find(this.config.deviceAddress, 4);
    return Atomics.load(region.u16, offset / 2 + USED_IDX);
  }

  /** The used element that belongs to free-running index `index`. */
  usedElement(index: number): { id: number; length: number } {
    const { region, offset } = this.#find(this.config.deviceAddress, 4);
    const at = offset / 4 + USED_RING + (index & (this.config.size - 1)) * 2;
    return { id: Atomics.load(region.u32, at), length: Atomics.load(region.u32, at + 1) };
  }

  /** Writes bytes anywhere in guest memory. @throws RangeError outside memory */
  write(address: number, bytes: Uint8Array): void {
    const { region, offset } = this.#find(address, bytes.length);
    region.u8.set(bytes, offset);
  }

  /** A private copy of guest memory. @throws RangeError outside memory */
  read(address: number, length: number): Uint8Array {
    const { region, offset } = this.#find(address, length);
    return Uint8Array.from(region.u8.subarray(offset, offset + length));
  }

  #find(address: number, length: number): { region: MemoryRegion; offset: number } {
    if (!this.#space.translate(address, length) || this.#space.hitRegion === null) {
      throw new RangeError(`${length} bytes at ${address} are not in memory`);
    }
    return { region: this.#space.hitRegion, offset: this.#space.hitOffset };
  }
}
