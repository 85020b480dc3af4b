import type { Gpa } from './address.ts';

/** What backs a region, plain enough to be posted to a worker. */
export interface RegionPlan {
  /** Position in the session's memory table; stable for the session's life. */
  readonly id: number;
  readonly name: string;
  readonly kind: 'ram' | 'device';
  readonly gpa: number;
  /** Bytes, a multiple of the page size. */
  readonly size: number;
  /** The VFIO device that owns the region, or null for guest RAM. */
  readonly device: string | null;
  /** The device's region index (its BAR number), or null for guest RAM. */
  readonly bar: number | null;
  /** A shared WebAssembly.Memory of at least `size` bytes: its buffer is a page-aligned SharedArrayBuffer. */
  readonly memory: WebAssembly.Memory;
}

/** One region of guest-physical address space with the views that touch its bytes. */
export class MemoryRegion {
  readonly id: number;
  readonly name: string;
  readonly kind: 'ram' | 'device';
  readonly gpa: Gpa;
  readonly size: number;
  readonly device: string | null;
  readonly bar: number | null;
  readonly memory: WebAssembly.Memory;
  readonly buffer: SharedArrayBuffer;
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  readonly i32: Int32Array;

  constructor(plan: RegionPlan) {
    if (!Number.isSafeInteger(plan.size) || plan.size <= 0 || plan.size % 4096 !== 0) {
      throw new RangeError(`region ${plan.name}: size ${plan.size} is not a positive multiple of 4096`);
    }
    if (!Number.isSafeInteger(plan.gpa) || plan.gpa < 0 || plan.gpa % 4096 !== 0 || plan.gpa + plan.size > Number.MAX_SAFE_INTEGER) {
      throw new RangeError(`region ${plan.name}: address ${plan.gpa} is not page-aligned or too large`);
    }
    this.id = plan.id;
    this.name = plan.name;
    this.kind = plan.kind;
    this.gpa = plan.gpa as Gpa;
    this.size = plan.size;
    this.device = plan.device;
    this.bar = plan.bar;
    this.memory = plan.memory;
    const buffer = plan.memory.buffer;
    if (!(buffer instanceof SharedArrayBuffer) || buffer.byteLength < plan.size) {
      throw new RangeError(`region ${plan.name}: its memory is not shared or smaller than ${plan.size} bytes`);
    }
    this.buffer = buffer;
    this.u8 = new Uint8Array(buffer, 0, plan.size);
    this.u16 = new Uint16Array(buffer, 0, plan.size / 2);
    this.u32 = new Uint32Array(buffer, 0, plan.size / 4);
    this.i32 = new Int32Array(buffer, 0, plan.size / 4);
  }
}

/** A shared, page-aligned memory of `bytes` (≤ 4 GiB), all zero. */
export function createSharedMemory(bytes: number): WebAssembly.Memory {
  const pages = Math.ceil(bytes / 65536);
  if (!(pages > 0) || pages > 65536) throw new RangeError(`a shared memory of ${bytes} bytes is not possible (1 … 4 GiB)`);
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
}
