import type { MemoryRegion } from './region.ts';

/** One way of copying bytes between two regions. Ranges must lie in their regions: the copier has checked them. */
export interface CopyKernel {
  readonly name: string;
  /** @throws RangeError or WebAssembly.RuntimeError when a range passes the end of a region's memory */
  copy(to: MemoryRegion, toOffset: number, from: MemoryRegion, fromOffset: number, bytes: number): void;
}

/** Every kernel that this runtime can run, the one to take without a measurement first. New objects at each call. */
export function copyKernels(): CopyKernel[] {
  const kernels: CopyKernel[] = [new TypedArraySet()];
  if (WebAssembly.validate(COPY_MODULE)) kernels.unshift(new WasmMemoryCopy());
  return kernels;
}

/** `TypedArray.prototype.set`: everywhere there, but needs a view object a copy. */
class TypedArraySet implements CopyKernel {
  readonly name = 'typed-array-set';

  copy(to: MemoryRegion, toOffset: number, from: MemoryRegion, fromOffset: number, bytes: number): void {
    if (toOffset + bytes > to.size) throw new RangeError(`${bytes} bytes at ${toOffset} pass the end of region ${to.name}`);
    if (fromOffset + bytes > from.size) throw new RangeError(`${bytes} bytes at ${fromOffset} pass the end of region ${from.name}`);
    to.u8.set(from.u8.subarray(fromOffset, fromOffset + bytes), toOffset);
  }
}

/**
 * (module
 *   (import "m" "to" (memory 0 65536 shared))
 *   (import "m" "from" (memory 0 65536 shared))
 *   (func (export "copy") (param i32 i32 i32)
 *     (memory.copy 0 1 (local.get 0) (local.get 1) (local.get 2))))
 */
const COPY_MODULE = new Uint8Array([
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00], // magic, version 1
  ...[0x01, 0x07, 0x01, 0x60, 0x03, 0x7f, 0x7f, 0x7f, 0x00], // types: (i32, i32, i32) → ()
  ...[0x02, 0x19, 0x02], // imports: two
  ...[0x01, 0x6d, 0x02, 0x74, 0x6f, 0x02, 0x03, 0x00, 0x80, 0x80, 0x04], // "m" "to": memory, shared with maximum, 0 … 65536 pages
  ...[0x01, 0x6d, 0x04, 0x66, 0x72, 0x6f, 0x6d, 0x02, 0x03, 0x00, 0x80, 0x80, 0x04], // "m" "from": the same
  ...[0x03, 0x02, 0x01, 0x00], // functions: one of type 0
  ...[0x07, 0x08, 0x01, 0x04, 0x63, 0x6f, 0x70, 0x79, 0x00, 0x00], // exports: "copy" is function 0
  ...[0x0a, 0x0e, 0x01, 0x0c, 0x00], // code: one body of 12 bytes, no locals
  ...[0x20, 0x00, 0x20, 0x01, 0x20, 0x02, 0xfc, 0x0a, 0x00, 0x01, 0x0b], // local.get 0, 1, 2; memory.copy to 0 from 1; end
]);

type CopyFunction = (toOffset: number, fromOffset: number, bytes: number) => void;

/**
 * WebAssembly `memory.copy` between two memories (multi-memory and threads proposals): V8 calls memmove. An
 * instance is made for each pair of memories at its first copy; offsets are 32-bit, so a region is at most 4 GiB.
 */
class WasmMemoryCopy implements CopyKernel {
  readonly name = 'wasm-memory-copy';
  readonly #module = new WebAssembly.Module(COPY_MODULE);
  readonly #pairs = new WeakMap<WebAssembly.Memory, WeakMap<WebAssembly.Memory, CopyFunction>>();
  #to: WebAssembly.Memory | null = null;
  #from: WebAssembly.Memory | null = null;
  #copy: CopyFunction = noCopy;

  copy(to: MemoryRegion, toOffset: number, from: MemoryRegion, fromOffset: number, bytes: number): void {
    if (to.memory !== this.#to || from.memory !== this.#from) this.#select(to.memory, from.memory);
    if (bytes <= 0xffff_ffff) this.#copy(toOffset, fromOffset, bytes);
    else this.#copyWhole(bytes);
  }

  /** 4 GiB is one more than a length can say. Only the whole of both memories is that long. */
  #copyWhole(bytes: number): void {
    this.#copy(0, 0, 0x8000_0000);
    this.#copy(0x8000_0000, 0x8000_0000, bytes - 0x8000_0000);
  }

  #select(to: WebAssembly.Memory, from: WebAssembly.Memory): void {
    let sources = this.#pairs.get(to);
    if (!sources) this.#pairs.set(to, (sources = new WeakMap()));
    let copy = sources.get(from);
    if (!copy) {
      copy = new WebAssembly.Instance(this.#module, { m: { to, from } }).exports['copy'] as CopyFunction;
      sources.set(from, copy);
    }
    this.#to = to;
    this.#from = from;
    this.#copy = copy;
  }
}

function noCopy(): void {
  throw new Error('a pair of memories is selected before the first copy');
}
