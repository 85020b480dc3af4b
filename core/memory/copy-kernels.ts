import type { MemoryRegion } from './region.ts';

/** One way of copying bytes between two regions. Ranges must lie in their regions: the copier has checked them. */
export interface CopyKernel {
  readonly name: string;
  /** @throws RangeError or WebAssembly.RuntimeError when a range passes the end of a region's memory */
  copy(to: MemoryRegion, toOffset: number, from: MemoryRegion, fromOffset: number, bytes: number): void;
}

/** Words of one run in a batch's table: to-offset, from-offset, bytes, and one unused. */
export const RUN_WORDS = 4;

/** A kernel that copies many runs between the same two regions in one call. */
export interface BatchCopyKernel extends CopyKernel {
  /** Where the caller puts the runs, RUN_WORDS apart; a whole number of runs long. Its contents are lost at the next `copy` or `copyRuns`. */
  readonly runs: Uint32Array;
  /** Copies the table's first `count` runs, in order; `count` is at least 1. */
  copyRuns(to: MemoryRegion, from: MemoryRegion, count: number): void;
}

export function isBatchCopyKernel(kernel: CopyKernel): kernel is BatchCopyKernel {
  return 'copyRuns' in kernel;
}

/** Every kernel that this runtime can run, the one to take without a measurement first. New objects at each call. */
export function copyKernels(): CopyKernel[] {
  const kernels: CopyKernel[] = [new TypedArraySet()];
  if (WebAssembly.validate(COPY_MODULE)) kernels.unshift(new WasmMemoryCopy());
  return kernels;
}

/**
 * The kernel of that name, as a worker needs it that is told which one was picked.
 * @throws RangeError when this runtime has none of that name
 */
export function copyKernelNamed(name: string): CopyKernel {
  const kernels = copyKernels();
  const kernel = kernels.find((each) => each.name === name);
  if (!kernel) throw new RangeError(`no copy kernel is named ${name}; there are ${kernels.map((each) => each.name).join(', ')}`);
  return kernel;
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
 *   (import "m" "runs" (memory 1))
 *   (func (export "copy") (param $end i32) (local $run i32)
 *     (loop $next
 *       (memory.copy 0 1 (i32.load 2 (local.get $run)) (i32.load 2 offset=4 (local.get $run)) (i32.load 2 offset=8 (local.get $run)))
 *       (br_if $next (i32.lt_u (local.tee $run (i32.add (local.get $run) (i32.const 16))) (local.get $end))))))
 */
const COPY_MODULE = new Uint8Array([
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00], // magic, version 1
  ...[0x01, 0x05, 0x01, 0x60, 0x01, 0x7f, 0x00], // types: (i32) → ()
  ...[0x02, 0x23, 0x03], // imports: three
  ...[0x01, 0x6d, 0x02, 0x74, 0x6f, 0x02, 0x03, 0x00, 0x80, 0x80, 0x04], // "m" "to": memory, shared with maximum, 0 … 65536 pages
  ...[0x01, 0x6d, 0x04, 0x66, 0x72, 0x6f, 0x6d, 0x02, 0x03, 0x00, 0x80, 0x80, 0x04], // "m" "from": the same
  ...[0x01, 0x6d, 0x04, 0x72, 0x75, 0x6e, 0x73, 0x02, 0x00, 0x01], // "m" "runs": memory, not shared, at least 1 page
  ...[0x03, 0x02, 0x01, 0x00], // functions: one of type 0
  ...[0x07, 0x08, 0x01, 0x04, 0x63, 0x6f, 0x70, 0x79, 0x00, 0x00], // exports: "copy" is function 0
  ...[0x0a, 0x2b, 0x01, 0x29, 0x01, 0x01, 0x7f], // code: one body of 41 bytes; local 1 is an i32
  ...[0x03, 0x40], // loop
  ...[0x20, 0x01, 0x28, 0x42, 0x02, 0x00], // local.get 1; i32.load, aligned to 4, of memory 2 at +0
  ...[0x20, 0x01, 0x28, 0x42, 0x02, 0x04], // the same at +4
  ...[0x20, 0x01, 0x28, 0x42, 0x02, 0x08], // the same at +8
  ...[0xfc, 0x0a, 0x00, 0x01], // memory.copy to 0 from 1
  ...[0x20, 0x01, 0x41, 0x10, 0x6a, 0x22, 0x01], // local.get 1; i32.const 16; i32.add; local.tee 1
  ...[0x20, 0x00, 0x49, 0x0d, 0x00], // local.get 0; i32.lt_u; br_if 0
  ...[0x0b, 0x0b], // end of loop, end of function
]);

/** Copies the runs of the table up to byte `end`, at least one. */
type CopyFunction = (end: number) => void;

const RUN_BYTES = RUN_WORDS * 4;
/** 1024 runs are 16 KiB: half of a small first-level cache. */
const TABLE_RUNS = 1024;

/**
 * WebAssembly `memory.copy` between two memories (multi-memory and threads proposals): V8 calls memmove. The
 * loop over the runs is in wasm too: a call for each 4 KiB page costs about 5%.
 * An instance is made for each pair of memories at its first copy; offsets are 32-bit, so a region is at most 4 GiB.
 */
class WasmMemoryCopy implements BatchCopyKernel {
  readonly name = 'wasm-memory-copy';
  readonly runs: Uint32Array;
  readonly #table = new WebAssembly.Memory({ initial: 1 });
  readonly #module = new WebAssembly.Module(COPY_MODULE);
  readonly #pairs = new WeakMap<WebAssembly.Memory, WeakMap<WebAssembly.Memory, CopyFunction>>();
  #to: WebAssembly.Memory | null = null;
  #from: WebAssembly.Memory | null = null;
  #copy: CopyFunction = noCopy;

  constructor() {
    this.runs = new Uint32Array(this.#table.buffer, 0, TABLE_RUNS * RUN_WORDS);
  }

  copy(to: MemoryRegion, toOffset: number, from: MemoryRegion, fromOffset: number, bytes: number): void {
    const runs = this.runs;
    runs[0] = toOffset;
    runs[1] = fromOffset;
    runs[2] = bytes;
    if (bytes <= 0xffff_ffff) {
      this.copyRuns(to, from, 1);
      return;
    }
    // 4 GiB, the whole of both memories, is one more than 32 bits can say.
    runs[2] = 0x8000_0000;
    runs.copyWithin(RUN_WORDS, 0, RUN_WORDS);
    runs[RUN_WORDS] += 0x8000_0000;
    runs[RUN_WORDS + 1] += 0x8000_0000;
    this.copyRuns(to, from, 2);
  }

  copyRuns(to: MemoryRegion, from: MemoryRegion, count: number): void {
    if (to.memory !== this.#to || from.memory !== this.#from) this.#select(to.memory, from.memory);
    this.#copy(count * RUN_BYTES);
  }

  #select(to: WebAssembly.Memory, from: WebAssembly.Memory): void {
    let sources = this.#pairs.get(to);
    if (!sources) {
      sources = new WeakMap();
      this.#pairs.set(to, sources);
    }
    let copy = sources.get(from);
    if (!copy) {
      copy = new WebAssembly.Instance(this.#module, { m: { to, from, runs: this.#table } }).exports['copy'] as CopyFunction;
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
