/**
 * Watched memory: in a side's thread, `Atomics` and the typed arrays that the rings are handed are replaced by ones that
 * take a turn before each access. The rings' own code is as it is.
 */
import type { MemoryRegion } from '../../core/memory/region.ts';
import type { Turns } from './turns.ts';

type View = Uint8Array | Uint16Array | Uint32Array | Int32Array;

/** Where a shared buffer's words begin among the locations. */
interface Placed {
  readonly raw: View;
  /** Location of the view's first byte, in bytes. */
  readonly from: number;
}

const LOCATION_SHIFT = 2;

export class Watch {
  readonly #turns: Turns;
  readonly #placed = new Map<object, Placed>();
  /** 0 is no location. */
  #end = 4;

  constructor(turns: Turns) {
    this.#turns = turns;
  }

  /** Locations given out: all are below. */
  get locations(): number {
    return this.#end >> LOCATION_SHIFT;
  }

  /** Makes the region's views watched ones. Both sides must watch the same things in the same order. */
  region(region: MemoryRegion): MemoryRegion {
    const from = this.#end;
    this.#end += region.size;
    for (const name of ['u8', 'u16', 'u32', 'i32'] as const) {
      const raw = region[name];
      const view = this.#proxy(raw, from);
      this.#placed.set(view, { raw, from });
      Object.defineProperty(region, name, { value: view });
    }
    Object.defineProperty(region, 'buffer', {
      get: () => {
        throw new TypeError('buffer of watched memory');
      },
    });
    return region;
  }

  /** Cells that are touched through `Atomics` only. */
  cells(cells: Int32Array): void {
    this.#placed.set(cells, { raw: cells, from: this.#end });
    this.#end += cells.byteLength;
  }

  /**
   * To be imported by a build of a WebAssembly ring that calls it before each access to shared memory.
   * @param at byte offset in the region watched first
   * @param write 0 for a load
   */
  readonly hook = (at: number, write: number): void => this.#turns.before((4 + at) >> LOCATION_SHIFT, write !== 0);

  /** Replaces the thread's `Atomics`, and turns the rings' WebAssembly off. */
  install(): void {
    const turns = this.#turns;
    const before = (view: View, index: number, write: boolean): View => {
      const placed = this.#placed.get(view);
      if (placed === undefined) throw new Error('Atomics on memory that is not watched');
      turns.before((placed.from + index * placed.raw.BYTES_PER_ELEMENT) >> LOCATION_SHIFT, write);
      return placed.raw;
    };
    const locate = (view: View, index: number): number => {
      const placed = this.#placed.get(view);
      return placed === undefined ? 0 : (placed.from + index * placed.raw.BYTES_PER_ELEMENT) >> LOCATION_SHIFT;
    };
    // One side runs at a time, and handing the turn over orders everything: plain accesses will do.
    const change = (view: View, index: number, value: (old: number) => number): number => {
      const raw = before(view, index, true);
      const old = raw[index];
      raw[index] = value(old);
      return old;
    };
    const watched = {
      load: (view: View, index: number) => before(view, index, false)[index],
      store: (view: View, index: number, value: number) => {
        before(view, index, true)[index] = value;
        return value;
      },
      add: (view: View, index: number, value: number) => change(view, index, (old) => old + value),
      sub: (view: View, index: number, value: number) => change(view, index, (old) => old - value),
      or: (view: View, index: number, value: number) => change(view, index, (old) => old | value),
      and: (view: View, index: number, value: number) => change(view, index, (old) => old & value),
      exchange: (view: View, index: number, value: number) => change(view, index, () => value),
      // No time-out: a sleeper that would look again by itself sleeps on, so that what was lost is seen.
      wait: (view: View, index: number, expected: number) => {
        if (before(view, index, true)[index] !== expected) return 'not-equal';
        turns.block(locate(view, index));
        return 'ok';
      },
      notify: (view: View, index: number) => {
        before(view, index, true);
        return turns.wake(locate(view, index));
      },
    };
    Object.defineProperty(globalThis, 'Atomics', { value: watched, configurable: true });
    Object.defineProperty(WebAssembly, 'validate', { value: () => false, configurable: true });
  }

  #proxy<V extends View>(raw: V, from: number): V {
    const turns = this.#turns;
    const bytes = raw.BYTES_PER_ELEMENT;
    return new Proxy(raw, {
      get(target, key) {
        const index = typeof key === 'string' ? Number(key) : Number.NaN;
        if (index >= 0) {
          turns.before((from + index * bytes) >> LOCATION_SHIFT, false);
          return target[index];
        }
        // What would give the memory away, or touch much of it at once, is refused, but for clearing it before the schedule.
        if (key === 'length') return target.length;
        if (key === 'fill' && !turns.armed) return target.fill.bind(target);
        throw new TypeError(`${String(key)} of watched memory`);
      },
      set(target, key, value) {
        const index = typeof key === 'string' ? Number(key) : Number.NaN;
        if (!(index >= 0)) throw new TypeError(`${String(key)} of watched memory`);
        turns.before((from + index * bytes) >> LOCATION_SHIFT, true);
        target[index] = value;
        return true;
      },
    });
  }
}
