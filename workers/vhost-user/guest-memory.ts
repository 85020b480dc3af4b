import { Memfd } from '../../core/dmabuf/udmabuf.ts';
import { VfioDevice } from '../../core/dmabuf/vfio.ts';
import type { HostDevice } from '../../core/host/device.ts';
import { AddressSpace } from '../../core/memory/address-space.ts';
import { MemoryRegion } from '../../core/memory/region.ts';
import type { TableRegion } from '../../core/protocol/vhost-user.ts';
import { NativeError } from '../native/libc.ts';
import { PeerError } from './peer-error.ts';

/** A part of guest-physical address space that is a PCI device's memory, not RAM. */
export interface DeviceRange {
  readonly name: string;
  readonly gpa: number;
  /** Bytes; null: whatever region begins there. */
  readonly size: number | null;
}

/** How a region's file becomes memory; FileMappings, or a test's. */
export interface Mappings {
  map(fd: number, offset: number, bytes: number, unsealed?: boolean): WebAssembly.Memory;
  unmap(memory: WebAssembly.Memory, bytes: number): void;
}

interface Mapped extends TableRegion {
  readonly file: string;
  readonly region: MemoryRegion;
}

/**
 * The guest's memory as a front end's table describes it: each region a file that is mapped. A new table keeps the regions
 * that are the same as before, so that what lies in them stays in use; others leave and come.
 */
export class GuestMemory {
  readonly space = new AddressSpace();
  /** Those present; the host device looks regions up here. */
  readonly regions: MemoryRegion[] = [];
  readonly vfioDevices: VfioDevice[] = [];
  readonly #mappings: Mappings;
  readonly #identity: (fd: number) => string;
  readonly #close: (fd: number) => void;
  readonly #devices: readonly DeviceRange[];
  readonly #unsealed: boolean;
  readonly #memfds = new Map<MemoryRegion, Memfd>();
  #mapped: Mapped[] = [];

  constructor(
    mappings: Mappings,
    identity: (fd: number) => string,
    close: (fd: number) => void,
    devices: readonly DeviceRange[],
    unsealed: boolean,
  ) {
    this.#mappings = mappings;
    this.#close = close;
    this.#identity = identity;
    this.#devices = devices;
    this.#unsealed = unsealed;
  }

  /** The file behind a RAM region; null: a device's. */
  memfdOf(region: MemoryRegion): Memfd | null {
    return this.#memfds.get(region) ?? null;
  }

  /** Where the front end's own address lies in the guest's memory; NaN: nowhere. */
  guestAddress(userAddress: number): number {
    for (const { gpa, size, userAddress: from } of this.#mapped) {
      if (userAddress >= from && userAddress - from < size) return gpa + (userAddress - from);
    }
    return Number.NaN;
  }

  /** What a table would take away: ids of regions that are not in it as they are now. */
  leaving(table: readonly TableRegion[], fds: readonly number[]): Set<number> {
    const kept = this.#kept(table, fds);
    return new Set(this.#mapped.filter((mapped) => !kept.includes(mapped)).map(({ region }) => region.id));
  }

  /**
   * Takes a new table into use. The file descriptors are closed: a mapping needs none.
   * @throws PeerError for a region that cannot be: the table is then empty or what could be taken of it
   */
  change(device: HostDevice, table: readonly TableRegion[], fds: readonly number[]): void {
    try {
      const kept = this.#kept(table, fds);
      const old = this.#mapped;
      this.#mapped = old.filter((mapped) => kept.includes(mapped));
      for (const mapped of old) if (!kept.includes(mapped)) this.#leave(device, mapped);
      for (let i = 0; i < table.length; i++) if (kept[i] === null) this.#come(device, table[i], fds[i]);
    } finally {
      for (const fd of fds) this.#close(fd);
    }
  }

  /** All regions leave. */
  clear(device: HostDevice): void {
    const old = this.#mapped;
    this.#mapped = [];
    for (const mapped of old) this.#leave(device, mapped);
  }

  /** For each region of the table: the one mapped already that is the same, or null. */
  #kept(table: readonly TableRegion[], fds: readonly number[]): (Mapped | null)[] {
    const left = new Set(this.#mapped);
    return table.map((wanted, i) => {
      for (const mapped of left) {
        const { gpa, size, userAddress, fileOffset, file } = mapped;
        if (gpa !== wanted.gpa || size !== wanted.size || userAddress !== wanted.userAddress || fileOffset !== wanted.fileOffset) continue;
        if (file !== this.#identity(fds[i])) return null;
        // Once: a second one of the table overlaps it.
        left.delete(mapped);
        return mapped;
      }
      return null;
    });
  }

  #leave(device: HostDevice, { region }: Mapped): void {
    device.setRegionPresent(region.id, false);
    this.regions.splice(this.regions.indexOf(region), 1);
    this.#memfds.delete(region);
    const owner = this.vfioDevices.findIndex(({ name }) => name === region.device);
    if (owner >= 0) this.vfioDevices.splice(owner, 1);
    this.#mappings.unmap(region.memory, region.size);
  }

  #come(device: HostDevice, wanted: TableRegion, fd: number): void {
    const { gpa, size, fileOffset } = wanted;
    const at = `0x${gpa.toString(16)}`;
    let memory: WebAssembly.Memory;
    try {
      memory = this.#mappings.map(fd, fileOffset, size, this.#unsealed);
    } catch (error) {
      if (error instanceof NativeError) throw new PeerError(`the region at ${at} cannot be mapped: ${error.message}`);
      throw error;
    }
    const range = this.#devices.find((one) => gpa >= one.gpa && (one.size === null ? gpa === one.gpa : gpa + size <= one.gpa + one.size));
    // Two regions of one device, as where its memory is split, are two devices: a dma-buf lies in one region anyway.
    const name = range === undefined ? `ram-${at}` : `${range.name}-${at}`;
    try {
      const region = new MemoryRegion({
        id: this.#freeId(),
        name,
        kind: range === undefined ? 'ram' : 'device',
        gpa,
        size,
        device: range === undefined ? null : name,
        bar: range === undefined ? null : 0,
        memory,
      });
      this.space.add(region);
      this.space.remove(region.id);
      this.regions.push(region);
      if (range === undefined) {
        this.#memfds.set(region, new Memfd(region));
      } else {
        const owner = new VfioDevice(name);
        owner.addRegion(0, region);
        this.vfioDevices.push(owner);
      }
      this.#mapped.push({ ...wanted, file: this.#identity(fd), region });
      device.setRegionPresent(region.id, true);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#mappings.unmap(memory, size);
      throw new PeerError(`the region at ${at} cannot be taken: ${error.message}`);
    }
  }

  #freeId(): number {
    for (let id = 0; ; id++) if (!this.regions.some((region) => region.id === id)) return id;
  }
}
