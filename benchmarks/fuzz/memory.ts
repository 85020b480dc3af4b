import { createSharedMemory, MemoryRegion, type RegionPlan } from '../../core/memory/region.ts';
import { hold } from './failure.ts';

/** Bytes behind each region's end that nobody may touch. */
const GUARD_BYTES = 65536;
const GUARD = new Uint8Array(GUARD_BYTES).fill(0xc5);

/**
 * A region whose memory goes on behind its end. The views go on too: a write that a check should have stopped lands in
 * the guard, where JavaScript would drop it silently.
 */
export class GuardedRegion extends MemoryRegion {
  override readonly u8: Uint8Array;
  override readonly u16: Uint16Array;
  override readonly u32: Uint32Array;
  override readonly i32: Int32Array;
  readonly #guard: Uint8Array;

  constructor(plan: Omit<RegionPlan, 'memory'>, memory: WebAssembly.Memory = createSharedMemory(plan.size + GUARD_BYTES)) {
    super({ ...plan, memory });
    this.u8 = new Uint8Array(this.buffer, 0, plan.size + GUARD_BYTES);
    this.u16 = new Uint16Array(this.buffer, 0, (plan.size + GUARD_BYTES) / 2);
    this.u32 = new Uint32Array(this.buffer, 0, (plan.size + GUARD_BYTES) / 4);
    this.i32 = new Int32Array(this.buffer, 0, (plan.size + GUARD_BYTES) / 4);
    this.#guard = this.u8.subarray(plan.size);
  }

  /** Puts the guard's bytes behind the end. */
  arm(): void {
    this.#guard.set(GUARD);
  }

  /** @throws FuzzFailure if a byte behind the end changed */
  checkGuard(): void {
    if (Buffer.compare(this.#guard, GUARD) === 0) return;
    const at = this.#guard.findIndex((byte, i) => byte !== GUARD[i]);
    hold(false, `the host wrote ${at} bytes past the end of ${this.name}`);
  }
}

/**
 * The memory of one fuzzed host after another: guest regions, whose first bytes are a pattern of their own, and the
 * host's images. Memory is made once; a fresh host finds it as the first one did.
 */
export class FuzzMemory {
  readonly regions: GuardedRegion[] = [];
  /** What the regions hold before a guest has written. */
  readonly patterns: Uint8Array[] = [];
  readonly #memories: readonly WebAssembly.Memory[];
  readonly #images = new Map<number, GuardedRegion[]>();
  #nextImage = 1000;

  /** @param memories of the guest's regions, where another thread made them; each has the guard's bytes too */
  constructor(memories: readonly WebAssembly.Memory[] = []) {
    this.#memories = memories;
  }

  /** Bytes of memory for a region of `size` bytes. */
  static bytesFor(size: number): number {
    return size + GUARD_BYTES;
  }

  readonly makeRegion = (plan: Omit<RegionPlan, 'memory'>): GuardedRegion => {
    let region = this.regions[plan.id];
    if (region === undefined) {
      region = new GuardedRegion(plan, this.#memories[plan.id]);
      const words = new Uint32Array(plan.size / 4);
      for (let i = 0; i < words.length; i++) words[i] = Math.imul(i + 1, 0x9e3779b1) ^ (plan.id << 28);
      this.regions[plan.id] = region;
      this.patterns[plan.id] = new Uint8Array(words.buffer);
    }
    return region;
  };

  /** All guest memory as at first. */
  restore(): void {
    for (const region of this.regions) {
      region.u8.set(this.patterns[region.id]);
      region.arm();
    }
  }

  /** @throws FuzzFailure for a byte that is not as at first, but for those of region 0 from `from` to `to`, which guest and host share */
  check(from: number, to: number): void {
    for (const region of this.regions) {
      region.checkGuard();
      if (region.id === 0) {
        this.#same(region, 0, from);
        this.#same(region, to, region.size);
      } else {
        this.#same(region, 0, region.size);
      }
    }
  }

  #same(region: GuardedRegion, from: number, to: number): void {
    const pattern = this.patterns[region.id];
    if (Buffer.compare(region.u8.subarray(from, to), pattern.subarray(from, to)) === 0) return;
    let at = from;
    while (region.u8[at] === pattern[at]) at++;
    hold(false, `the host wrote byte ${at} of ${region.name}`);
  }

  /** An image of the host's own, all zero, with a guard of its own. */
  takeImage(bytes: number): GuardedRegion {
    const size = Math.ceil(bytes / 4096) * 4096;
    const kept = this.#images.get(size)?.pop();
    const id = this.#nextImage++;
    const plan = { id, name: `image-${id}`, kind: 'ram', gpa: 0, size, device: null, bar: null } as const;
    const image = kept ?? new GuardedRegion(plan);
    image.u8.fill(0);
    image.arm();
    return image;
  }

  /** @throws FuzzFailure if the host wrote past its end */
  giveImage(image: GuardedRegion): void {
    image.checkGuard();
    const kept = this.#images.get(image.size) ?? [];
    this.#images.set(image.size, kept);
    if (kept.length < 16) kept.push(image);
  }
}
