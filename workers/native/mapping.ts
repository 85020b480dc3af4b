import { fstatSync } from 'node:fs';
import { PAGE_SIZE } from '../../core/memory/address.ts';
import { createSharedMemory } from '../../core/memory/region.ts';
import { type Libc, MAP_SHARED, NativeError, Seal } from './libc.ts';

/** The smallest and the largest shared memory (1 and 65536 WebAssembly pages). */
const LEAST_BYTES = 65536;
const MOST_BYTES = 65536 * 65536;

/** The size of memory that so many bytes are mapped in. */
const classOf = (bytes: number): number => Math.max(LEAST_BYTES, 2 ** Math.ceil(Math.log2(bytes)));

/** Where a region's bytes lie. */
export interface BackingFile {
  readonly fd: number;
  /** Of the region's first byte. */
  readonly offset: number;
}

/** What a file is, whatever descriptor names it. */
export function fileIdentity(fd: number): string {
  const { dev, ino } = fstatSync(fd, { bigint: true });
  return `${dev}:${ino}`;
}

/**
 * Files laid over page-aligned shared memory, so that the same bytes serve typed arrays and Atomics here and another
 * process. A SharedArrayBuffer cannot be detached: a mapping that ends leaves private zero pages in its place, never a hole,
 * and its memory is used again for the next file. Memories have sizes that are powers of two: whatever sizes others make up,
 * there are few, and no more of each than were mapped at once.
 */
export class FileMappings {
  readonly #libc: Libc;
  /** Memories without a file, by their size. */
  readonly #free = new Map<number, WebAssembly.Memory[]>();
  /** With the file, where it is kept open. */
  readonly #mapped = new Map<WebAssembly.Memory, BackingFile | null>();
  #keepsFiles = false;

  constructor(libc: Libc) {
    this.#libc = libc;
  }

  /** Files mapped from now on are kept open for `fileOf`: a mapping itself needs none. */
  keepFiles(): void {
    this.#keepsFiles = true;
  }

  /** Files mapped now. */
  get count(): number {
    return this.#mapped.size;
  }

  /**
   * Maps `bytes` of a file from `offset` on.
   * @param unsealed whether a file that others can shrink is taken: reading past its new end would kill this process
   * @returns shared memory of at least that size; what follows the file's bytes is zero
   * @throws NativeError: EINVAL for a size or offset that cannot be, past the file's end, or a file that is not sealed;
   *   ENOMEM without address space; what mmap(2) answers
   */
  map(fd: number, offset: number, bytes: number, unsealed = false): WebAssembly.Memory {
    if (
      !Number.isSafeInteger(bytes) ||
      bytes <= 0 ||
      bytes % PAGE_SIZE !== 0 ||
      !Number.isSafeInteger(offset) ||
      offset % PAGE_SIZE !== 0
    ) {
      throw new NativeError('mmap', 'EINVAL', `${bytes} bytes at ${offset} are not whole pages`);
    }
    if (bytes > MOST_BYTES) throw new NativeError('mmap', 'ENOMEM', `${bytes} bytes; a region has 4 GiB at most`);
    // Before its size is looked at, which may change until it is sealed.
    if (!unsealed && (this.#libc.seals(fd) & Seal.SHRINK) === 0) {
      throw new NativeError('mmap', 'EINVAL', 'the file has no F_SEAL_SHRINK: who shrinks it would end this process');
    }
    const { size } = fstatSync(fd);
    if (offset + bytes > size) throw new NativeError('mmap', 'EINVAL', `${bytes} bytes at ${offset} of a file of ${size}`);
    const memory = this.#take(bytes);
    try {
      this.#libc.mmapFixed(this.#address(memory), bytes, MAP_SHARED, fd, offset);
      this.#mapped.set(memory, this.#keepsFiles ? { fd: this.#libc.duplicate(fd), offset } : null);
    } catch (error) {
      this.#keep(memory, bytes);
      throw error;
    }
    return memory;
  }

  /** Puts private zero pages in the file's place. Nobody may use its bytes any more. @param bytes as it was mapped */
  unmap(memory: WebAssembly.Memory, bytes: number): void {
    const file = this.#mapped.get(memory);
    if (!this.#mapped.delete(memory)) return;
    this.#keep(memory, bytes);
    if (file) this.#libc.close(file.fd);
  }

  /** The file that is mapped there; null: none is, or it is not kept open. */
  fileOf(memory: WebAssembly.Memory): BackingFile | null {
    return this.#mapped.get(memory) ?? null;
  }

  #take(bytes: number): WebAssembly.Memory {
    const size = classOf(bytes);
    const free = this.#free.get(size)?.pop();
    if (free !== undefined) return free;
    try {
      return createSharedMemory(size);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new NativeError('mmap', 'ENOMEM', `no address space for ${size} bytes`);
    }
  }

  #keep(memory: WebAssembly.Memory, bytes: number): void {
    this.#libc.mapZeros(this.#address(memory), bytes);
    const size = classOf(bytes);
    const free = this.#free.get(size);
    if (free === undefined) this.#free.set(size, [memory]);
    else free.push(memory);
  }

  #address(memory: WebAssembly.Memory): bigint {
    return this.#libc.addressOf(new Uint8Array(memory.buffer));
  }
}
