import { fstatSync } from 'node:fs';
import { createSharedMemory } from '../../core/memory/region.ts';
import { type Libc, MAP_ANONYMOUS, MAP_NORESERVE, MAP_PRIVATE, MAP_SHARED, NativeError, Seal } from './libc.ts';

const PAGE = 4096;
/** The largest shared memory (65536 WebAssembly pages). */
const MOST_BYTES = 65536 * 65536;

/** What a file is, whatever descriptor names it. */
export function fileIdentity(fd: number): string {
  const { dev, ino } = fstatSync(fd, { bigint: true });
  return `${dev}:${ino}`;
}

/**
 * Files laid over page-aligned shared memory, so that the same bytes serve typed arrays and Atomics here and another
 * process. A SharedArrayBuffer cannot be detached: a mapping that ends leaves private zero pages in its place, never a hole,
 * and its memory is used again for the next file of that size.
 */
export class FileMappings {
  readonly #libc: Libc;
  /** Memories without a file, by size. */
  readonly #free = new Map<number, WebAssembly.Memory[]>();
  readonly #mapped = new Set<WebAssembly.Memory>();

  constructor(libc: Libc) {
    this.#libc = libc;
  }

  /** Files mapped now. */
  get count(): number {
    return this.#mapped.size;
  }

  /**
   * Maps `bytes` of a file from `offset` on.
   * @param unsealed whether a file that others can shrink is taken: reading past its new end would kill this process
   * @throws NativeError: EINVAL for a size or offset that cannot be, past the file's end, or a file that is not sealed;
   *   what mmap(2) answers
   */
  map(fd: number, offset: number, bytes: number, unsealed = false): WebAssembly.Memory {
    if (!Number.isSafeInteger(bytes) || bytes <= 0 || bytes % PAGE !== 0 || !Number.isSafeInteger(offset) || offset % PAGE !== 0) {
      throw new NativeError('mmap', 'EINVAL', `${bytes} bytes at ${offset} are not whole pages`);
    }
    if (bytes > MOST_BYTES) throw new NativeError('mmap', 'ENOMEM', `${bytes} bytes; a region has 4 GiB at most`);
    const { size } = fstatSync(fd);
    if (offset + bytes > size) throw new NativeError('mmap', 'EINVAL', `${bytes} bytes at ${offset} of a file of ${size}`);
    if (!unsealed && (this.#libc.seals(fd) & Seal.SHRINK) === 0) {
      throw new NativeError('mmap', 'EINVAL', 'the file has no F_SEAL_SHRINK: who shrinks it would end this process');
    }
    const memory = this.#free.get(bytes)?.pop() ?? createSharedMemory(bytes);
    try {
      this.#libc.mmapFixed(this.#address(memory), bytes, MAP_SHARED, fd, offset);
    } catch (error) {
      this.#keep(memory, bytes);
      throw error;
    }
    this.#mapped.add(memory);
    return memory;
  }

  /** Puts private zero pages in the file's place. Nobody may use its bytes any more. @param bytes as it was mapped */
  unmap(memory: WebAssembly.Memory, bytes: number): void {
    if (!this.#mapped.delete(memory)) return;
    this.#keep(memory, bytes);
  }

  #keep(memory: WebAssembly.Memory, bytes: number): void {
    this.#libc.mmapFixed(this.#address(memory), bytes, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    const free = this.#free.get(bytes);
    if (free === undefined) this.#free.set(bytes, [memory]);
    else free.push(memory);
  }

  #address(memory: WebAssembly.Memory): bigint {
    return this.#libc.addressOf(new Uint8Array(memory.buffer));
  }
}
