import type { MemoryRegion } from '../memory/region.ts';

/**
 * Sequentially consistent accesses to one region, by byte offset there. An offset is a multiple of the access's size
 * and lies in the region: whoever found the queue's areas has checked that.
 */
export interface RingAtomics {
  /** @returns u16 */
  readonly load16: (at: number) => number;
  readonly store16: (at: number, value: number) => void;
  /** @returns i32 */
  readonly load32: (at: number) => number;
  readonly store32: (at: number, value: number) => void;
  /** Stores at byte `at`, then loads at byte `look`: two accesses for one call. @returns i32 */
  readonly storeThenLoad32: (at: number, value: number, look: number) => number;
  /**
   * Loads the last words of packed descriptors one after the other, the first at byte `at`, at most `count`.
   * @returns how many of them, up to the first other one, have the AVAIL and USED flags `state`: `(word >>> 23) & 0x101`
   */
  readonly scan: (at: number, count: number, state: number) => number;
}

/**
 * (module
 *   (import "m" "m" (memory 0 65536 shared))
 *   (func (export "l2") (param i32) (result i32) (i32.atomic.load16_u (local.get 0)))
 *   (func (export "s2") (param i32 i32) (i32.atomic.store16 (local.get 0) (local.get 1)))
 *   (func (export "l4") (param i32) (result i32) (i32.atomic.load (local.get 0)))
 *   (func (export "s4") (param i32 i32) (i32.atomic.store (local.get 0) (local.get 1)))
 *   (func (export "scan") (param $at i32) (param $count i32) (param $state i32) (result i32) (local $n i32)
 *     (block (loop
 *       (br_if 1 (i32.ge_s (local.get $n) (local.get $count)))
 *       (br_if 1 (i32.ne (local.get $state)
 *         (i32.and (i32.shr_u (i32.atomic.load (local.get $at)) (i32.const 23)) (i32.const 0x101))))
 *       (local.set $n (i32.add (local.get $n) (i32.const 1)))
 *       (local.set $at (i32.add (local.get $at) (i32.const 16)))
 *       (br 0)))
 *     (local.get $n))
 *   (func (export "sl4") (param i32 i32 i32) (result i32)
 *     (i32.atomic.store (local.get 0) (local.get 1)) (i32.atomic.load (local.get 2))))
 */
const ATOMICS_MODULE = new Uint8Array([
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00], // magic, version 1
  ...[0x01, 0x12, 0x03], // types: three
  ...[0x60, 0x01, 0x7f, 0x01, 0x7f], // 0: (i32) → (i32)
  ...[0x60, 0x02, 0x7f, 0x7f, 0x00], // 1: (i32, i32) → ()
  ...[0x60, 0x03, 0x7f, 0x7f, 0x7f, 0x01, 0x7f], // 2: (i32, i32, i32) → (i32)
  ...[0x02, 0x0b, 0x01], // imports: one
  ...[0x01, 0x6d, 0x01, 0x6d, 0x02, 0x03, 0x00, 0x80, 0x80, 0x04], // "m" "m": memory, shared with maximum, 0 … 65536 pages
  ...[0x03, 0x07, 0x06, 0x00, 0x01, 0x00, 0x01, 0x02, 0x02], // functions: six, of types 0, 1, 0, 1, 2, 2
  ...[0x07, 0x22, 0x06], // exports: six
  ...[0x02, 0x6c, 0x32, 0x00, 0x00], // "l2" is function 0
  ...[0x02, 0x73, 0x32, 0x00, 0x01], // "s2" is function 1
  ...[0x02, 0x6c, 0x34, 0x00, 0x02], // "l4" is function 2
  ...[0x02, 0x73, 0x34, 0x00, 0x03], // "s4" is function 3
  ...[0x04, 0x73, 0x63, 0x61, 0x6e, 0x00, 0x04], // "scan" is function 4
  ...[0x03, 0x73, 0x6c, 0x34, 0x00, 0x05], // "sl4" is function 5
  ...[0x0a, 0x70, 0x06], // code: six bodies, each: its size, its locals, …, end
  ...[0x08, 0x00, 0x20, 0x00, 0xfe, 0x13, 0x01, 0x00, 0x0b], // local.get 0; i32.atomic.load16_u, aligned to 2, at +0
  ...[0x0a, 0x00, 0x20, 0x00, 0x20, 0x01, 0xfe, 0x1a, 0x01, 0x00, 0x0b], // local.get 0, 1; i32.atomic.store16, likewise
  ...[0x08, 0x00, 0x20, 0x00, 0xfe, 0x10, 0x02, 0x00, 0x0b], // local.get 0; i32.atomic.load, aligned to 4, at +0
  ...[0x0a, 0x00, 0x20, 0x00, 0x20, 0x01, 0xfe, 0x17, 0x02, 0x00, 0x0b], // local.get 0, 1; i32.atomic.store, likewise
  ...[0x35, 0x01, 0x01, 0x7f, 0x02, 0x40, 0x03, 0x40], // scan: one local i32; block; loop
  ...[0x20, 0x03, 0x20, 0x01, 0x4e, 0x0d, 0x01], // local.get 3, 1; i32.ge_s; br_if 1
  ...[0x20, 0x00, 0xfe, 0x10, 0x02, 0x00, 0x41, 0x17, 0x76], // local.get 0; i32.atomic.load; i32.const 23; i32.shr_u
  ...[0x41, 0x81, 0x02, 0x71, 0x20, 0x02, 0x47, 0x0d, 0x01], // i32.const 0x101; i32.and; local.get 2; i32.ne; br_if 1
  ...[0x20, 0x03, 0x41, 0x01, 0x6a, 0x21, 0x03], // local.get 3; i32.const 1; i32.add; local.set 3
  ...[0x20, 0x00, 0x41, 0x10, 0x6a, 0x21, 0x00], // local.get 0; i32.const 16; i32.add; local.set 0
  ...[0x0c, 0x00, 0x0b, 0x0b, 0x20, 0x03, 0x0b], // br 0; end; end; local.get 3; end
  ...[0x10, 0x00, 0x20, 0x00, 0x20, 0x01, 0xfe, 0x17, 0x02, 0x00], // sl4: local.get 0, 1; i32.atomic.store, likewise
  ...[0x20, 0x02, 0xfe, 0x10, 0x02, 0x00], // local.get 2; i32.atomic.load, likewise
  0x0b, // end
]);

/** One for each memory: call sites that see one function only are inlined to the instruction. */
const known = new WeakMap<WebAssembly.Memory, RingAtomics>();
let wasm: WebAssembly.Module | null = null;

/**
 * The region's atomic accesses: in WebAssembly, a third of what `Atomics` takes, of 16 and 32 bits alike (ADR 0012);
 * with `Atomics` where the runtime takes no shared memory in WebAssembly.
 */
export function ringAtomics(region: MemoryRegion): RingAtomics {
  const { memory } = region;
  let atomics = known.get(memory);
  if (!atomics) {
    atomics = WebAssembly.validate(ATOMICS_MODULE) ? wasmAtomics(memory) : plainAtomics(region);
    known.set(memory, atomics);
  }
  return atomics;
}

/** What stores to one region, then loads from another or the same: at byte `at`, and at byte `look`. @returns i32 */
export function storeThenLoad(to: MemoryRegion, from: MemoryRegion): RingAtomics['storeThenLoad32'] {
  const atomics = ringAtomics(to);
  if (from === to) return atomics.storeThenLoad32;
  const { load32 } = ringAtomics(from);
  return (at, value, look) => {
    atomics.store32(at, value);
    return load32(look);
  };
}

function wasmAtomics(memory: WebAssembly.Memory): RingAtomics {
  wasm ??= new WebAssembly.Module(ATOMICS_MODULE);
  const { l2, s2, l4, s4, scan, sl4 } = new WebAssembly.Instance(wasm, { m: { m: memory } }).exports;
  type Load = RingAtomics['load16'];
  type Store = RingAtomics['store16'];
  const [load16, store16, load32, store32] = [l2 as Load, s2 as Store, l4 as Load, s4 as Store];
  type Three = RingAtomics['scan'];
  return { load16, store16, load32, store32, storeThenLoad32: sl4 as Three, scan: scan as Three };
}

/** The same with `Atomics`. */
export function plainAtomics(region: MemoryRegion): RingAtomics {
  const { u16, i32 } = region;
  return {
    load16: (at) => Atomics.load(u16, at / 2),
    store16: (at, value) => void Atomics.store(u16, at / 2, value),
    load32: (at) => Atomics.load(i32, at / 4),
    store32: (at, value) => void Atomics.store(i32, at / 4, value),
    storeThenLoad32: (at, value, look) => {
      Atomics.store(i32, at / 4, value);
      return Atomics.load(i32, look / 4);
    },
    scan: (at, count, state) => {
      let n = 0;
      while (n < count && ((Atomics.load(i32, at / 4 + 4 * n) >>> 23) & 0x101) === state) n++;
      return n;
    },
  };
}
