import type { AddressSpace } from '../../memory/address-space.ts';
import type { MemoryRegion } from '../../memory/region.ts';
import { AVAIL, DESCRIPTOR_BYTES, FLAGS_WORD, LENGTH_WORD, USED, WORDS } from '../../ring/packed/layout.ts';
import type { QueueConfig } from '../../ring/queue.ts';
import type { RawDescriptor } from './raw-driver.ts';

/** The flags that make a descriptor available under a wrap counter. */
export const availableFlags = (wrap: number): number => (wrap === 1 ? AVAIL : USED);

/**
 * A packed-ring driver that checks nothing and keeps no promise, as `RawDriver` is for the split ring. A descriptor's
 * `next` is the id here: entries of an INDIRECT table hold flags in the upper half of their last word too.
 */
export class RawPackedDriver {
  readonly config: QueueConfig;
  readonly #space: AddressSpace;

  constructor(space: AddressSpace, config: QueueConfig) {
    this.#space = space;
    this.config = config;
  }

  /** Writes the descriptor in slot `index` as it is: without AVAIL or USED it is not available. */
  slot(index: number, descriptor: RawDescriptor): void {
    this.tableDescriptor(this.config.descriptorAddress, index, descriptor);
  }

  /** Writes descriptor `index` of a table anywhere in guest memory. */
  tableDescriptor(table: number, index: number, descriptor: RawDescriptor): void {
    const bytes = new DataView(new ArrayBuffer(DESCRIPTOR_BYTES));
    bytes.setBigUint64(0, BigInt.asUintN(64, BigInt(descriptor.address)), true);
    bytes.setUint32(8, descriptor.length, true);
    bytes.setUint16(12, descriptor.next ?? 0, true);
    bytes.setUint16(14, descriptor.flags ?? 0, true);
    this.write(table + index * DESCRIPTOR_BYTES, new Uint8Array(bytes.buffer));
  }

  /** Writes a whole indirect table, linking nothing by itself. */
  table(address: number, descriptors: readonly RawDescriptor[]): void {
    for (const [index, descriptor] of descriptors.entries()) this.tableDescriptor(address, index, descriptor);
  }

  /** Makes descriptors available in the slots from `first` on, the first of them last. */
  offer(first: number, descriptors: readonly RawDescriptor[], wrap = 1): void {
    for (let i = descriptors.length - 1; i >= 0; i--) {
      const index = (first + i) % this.config.size;
      const flags = (descriptors[i].flags ?? 0) | availableFlags(first + i < this.config.size ? wrap : wrap ^ 1);
      this.slot(index, { ...descriptors[i], flags });
    }
  }

  /** What a slot holds now. */
  read(index: number): { id: number; length: number; flags: number } {
    const { region, offset } = this.#find(this.config.descriptorAddress, DESCRIPTOR_BYTES);
    const at = offset / 4 + index * WORDS;
    const word = Atomics.load(region.i32, at + FLAGS_WORD);
    return { id: word & 0xffff, length: Atomics.load(region.u32, at + LENGTH_WORD), flags: word >>> 16 };
  }

  /** Both halves of the driver's event structure. */
  set event(word: number) {
    const { region, offset } = this.#find(this.config.driverAddress, 4);
    Atomics.store(region.i32, offset / 4, word);
  }

  /** Both halves of the device's event structure. */
  get deviceEvent(): number {
    const { region, offset } = this.#find(this.config.deviceAddress, 4);
    return Atomics.load(region.i32, offset / 4);
  }

  /** Writes bytes anywhere in guest memory. @throws RangeError outside memory */
  write(address: number, bytes: Uint8Array): void {
    const { region, offset } = this.#find(address, bytes.length);
    region.u8.set(bytes, offset);
  }

  #find(address: number, length: number): { region: MemoryRegion; offset: number } {
    if (!this.#space.translate(address, length) || this.#space.hitRegion === null) {
      throw new RangeError(`${length} bytes at ${address} are not in memory`);
    }
    return { region: this.#space.hitRegion, offset: this.#space.hitOffset };
  }
}
