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
}

/**
 * (module
 *   (import "m" "m" (memory 0 65536 shared))
 *   (func (export "l2") (param i32) (result i32) (i32.atomic.load16_u (local.get 0)))
 *   (func (export "s2") (param i32 i32) (i32.atomic.store16 (local.get 0) (local.get 1)))
 *   (func (export "l4") (param i32) (result i32) (i32.atomic.load (local.get 0)))
 *   (func (export "s4") (param i32 i32) (i32.atomic.store (local.get 0) (local.get 1))))
 */
const ATOMICS_MODULE = new Uint8Array([
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00], // magic, version 1
  ...[0x01, 0x0b, 0x02], // types: two
  ...[0x60, 0x01, 0x7f, 0x01, 0x7f], // 0: (i32) → (i32)
  ...[0x60, 0x02, 0x7f, 0x7f, 0x00], // 1: (i32, i32) → ()
  ...[0x02, 0x0b, 0x01], // imports: one
  ...[0x01, 0x6d, 0x01, 0x6d, 0x02, 0x03, 0x00, 0x80, 0x80, 0x04], // "m" "m": memory, shared with maximum, 0 … 65536 pages
  ...[0x03, 0x05, 0x04, 0x00, 0x01, 0x00, 0x01], // functions: four, of types 0, 1, 0, 1
  ...[0x07, 0x15, 0x04], // exports: four
  ...[0x02, 0x6c, 0x32, 0x00, 0x00], // "l2" is function 0
  ...[0x02, 0x73, 0x32, 0x00, 0x01], // "s2" is function 1
  ...[0x02, 0x6c, 0x34, 0x00, 0x02], // "l4" is function 2
  ...[0x02, 0x73, 0x34, 0x00, 0x03], // "s4" is function 3
  ...[0x0a, 0x29, 0x04], // code: four bodies, each: its size, no locals, …, end
  ...[0x08, 0x00, 0x20, 0x00, 0xfe, 0x13, 0x01, 0x00, 0x0b], // local.get 0; i32.atomic.load16_u, aligned to 2, at +0
  ...[0x0a, 0x00, 0x20, 0x00, 0x20, 0x01, 0xfe, 0x1a, 0x01, 0x00, 0x0b], // local.get 0, 1; i32.atomic.store16, likewise
  ...[0x08, 0x00, 0x20, 0x00, 0xfe, 0x10, 0x02, 0x00, 0x0b], // local.get 0; i32.atomic.load, aligned to 4, at +0
  ...[0x0a, 0x00, 0x20, 0x00, 0x20, 0x01, 0xfe, 0x17, 0x02, 0x00, 0x0b], // local.get 0, 1; i32.atomic.store, likewise
]);

/** One for each memory: call sites that see one function only are inlined to the instruction. */
const known = new WeakMap<WebAssembly.Memory, RingAtomics>();
let wasm: WebAssembly.Module | null = null;

/**
 * The region's atomic accesses: in WebAssembly, where the compiler makes each one an instruction, which it does not do
 * of `Atomics` on 16 bits; with `Atomics` where the runtime takes no shared memory in WebAssembly.
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

function wasmAtomics(memory: WebAssembly.Memory): RingAtomics {
  wasm ??= new WebAssembly.Module(ATOMICS_MODULE);
  const { l2, s2, l4, s4 } = new WebAssembly.Instance(wasm, { m: { m: memory } }).exports;
  type Load = RingAtomics['load16'];
  type Store = RingAtomics['store16'];
  return { load16: l2 as Load, store16: s2 as Store, load32: l4 as Load, store32: s4 as Store };
}

/** The same with `Atomics`. */
export function plainAtomics(region: MemoryRegion): RingAtomics {
  const { u16, i32 } = region;
  return {
    load16: (at) => Atomics.load(u16, at / 2),
    store16: (at, value) => void Atomics.store(u16, at / 2, value),
    load32: (at) => Atomics.load(i32, at / 4),
    store32: (at, value) => void Atomics.store(i32, at / 4, value),
  };
}
