import type { GuestMachine } from '../core/machine/guest-machine.ts';
import type { HostMachine } from '../core/machine/host-machine.ts';
import { PAGE_LAYOUTS, type PageLayout } from '../core/memory/allocator.ts';
import { DeviceRegisters } from '../core/ring/registers.ts';

/** What a head's display is: pixels and Hz. */
export interface RemoteDisplay {
  readonly width: number;
  readonly height: number;
  readonly refreshHz: number;
}

/** What both sides hold, as they said of themselves at the same request. */
export interface Gauges {
  /** Every head shows what its display asked for, as far as the guest knows. */
  readonly settled: boolean;
  /** Buffers of all heads. */
  readonly buffers: number;
  /** Bytes of guest RAM and VRAM that they take. */
  readonly heldBytes: number;
  /** Buffers of the guest's GPU. */
  readonly gpuBuffers: number;
  /** Resources that the host knows. */
  readonly resources: number;
  readonly budgetBytes: number;
  readonly segments: number;
  /** Of each head: pixels, 0 × 0 when it is off, and the frames committed so far. */
  readonly heads: readonly { readonly width: number; readonly height: number; readonly committed: number }[];
}

const HEADS = 16;

/** Cells of i32: what the starter wants. A side looks at its first cell alone until that changes. */
const HOST_WANTED = 0;
const GUEST_WANTED = 1;
/** Odd while a display is being written: a host that looks for another reason then would see half of the old one. */
const DISPLAYS_WANTED = 2;
const LAYOUT = 3;
const GAUGES_WANTED = 4;
/** What the sides have done. */
const DISPLAYS_DONE = 5;
const HOST_GAUGES = 6;
const GUEST_GAUGES = 7;
/** How often a buffer was to be moved. */
const MOVES = 8;
/** Of each head: width, height, refresh rate in mHz; how often it was to be given new buffers. */
const DISPLAYS = 16;
const REMAKES = DISPLAYS + HEADS * 3;
const CELLS = REMAKES + HEADS;

/** Cells of f64, the gauges. */
const G = { settled: 0, buffers: 1, held: 2, gpuBuffers: 3, resources: 4, budget: 5, segments: 6, heads: 8 } as const;
const GAUGE_CELLS = G.heads + HEADS * 3;

/**
 * What whoever started a machine may ask of it while it runs: displays that come, go and change their size (the host's),
 * buffers in other places (the guest's), and what each side holds. It is state, not messages: a side that was started anew
 * finds the displays as they are by then. The sides look at it between two turns, at one cell.
 */
export class Remote {
  static readonly bytes = CELLS * 4 + GAUGE_CELLS * 8;
  readonly buffer: SharedArrayBuffer;
  readonly #cells: Int32Array;
  readonly #gauges: Float64Array;
  /** Rings both sides' doorbells. */
  readonly #wake: () => void;
  readonly #heads: number;

  /** @param control the machine's control block */
  constructor(control: SharedArrayBuffer, displays: readonly (RemoteDisplay | null)[]) {
    this.buffer = new SharedArrayBuffer(Remote.bytes);
    this.#cells = new Int32Array(this.buffer, 0, CELLS);
    this.#gauges = gaugesOf(this.buffer);
    this.#heads = displays.length;
    for (const [head, display] of displays.entries()) this.#store(head, display);
    const cells = new Int32Array(control);
    const { hostDoorbell, guestDoorbell } = new DeviceRegisters(cells);
    this.#wake = () => {
      for (const bell of [hostDoorbell, guestDoorbell]) {
        Atomics.add(cells, bell, 1);
        Atomics.notify(cells, bell);
      }
    };
  }

  /** Connects a display to a head, changes its size, or takes it away (null). */
  setDisplay(head: number, display: RemoteDisplay | null): void {
    Atomics.add(this.#cells, DISPLAYS_WANTED, 1);
    this.#store(head, display);
    Atomics.add(this.#cells, DISPLAYS_WANTED, 1);
    Atomics.add(this.#cells, HOST_WANTED, 1);
    this.#wake();
  }

  /** Has the guest give a head new buffers; these and all later ones lie in `layout`. */
  remake(head: number, layout: PageLayout): void {
    Atomics.store(this.#cells, LAYOUT, PAGE_LAYOUTS.indexOf(layout) + 1);
    Atomics.add(this.#cells, REMAKES + head, 1);
    Atomics.add(this.#cells, GUEST_WANTED, 1);
    this.#wake();
  }

  /** Has the guest move one of its GPU's buffers to the other placement, or the one that it has moved before back. It must be `movable`. */
  moveBuffer(): void {
    Atomics.add(this.#cells, MOVES, 1);
    Atomics.add(this.#cells, GUEST_WANTED, 1);
    this.#wake();
  }

  /** Asks both sides what they hold; `gauges` has it once both have answered. */
  askGauges(): void {
    Atomics.add(this.#cells, GAUGES_WANTED, 1);
    Atomics.add(this.#cells, HOST_WANTED, 1);
    Atomics.add(this.#cells, GUEST_WANTED, 1);
    this.#wake();
  }

  /** The answer to the last `askGauges`; null: not yet, or the host has not shown the guest the last display yet. */
  gauges(): Gauges | null {
    const wanted = Atomics.load(this.#cells, GAUGES_WANTED);
    if (Atomics.load(this.#cells, HOST_GAUGES) !== wanted || Atomics.load(this.#cells, GUEST_GAUGES) !== wanted) return null;
    if (Atomics.load(this.#cells, DISPLAYS_DONE) !== Atomics.load(this.#cells, DISPLAYS_WANTED)) return null;
    const gauges = this.#gauges;
    return {
      settled: gauges[G.settled] === 1,
      buffers: gauges[G.buffers],
      heldBytes: gauges[G.held],
      gpuBuffers: gauges[G.gpuBuffers],
      resources: gauges[G.resources],
      budgetBytes: gauges[G.budget],
      segments: gauges[G.segments],
      heads: Array.from({ length: this.#heads }, (_, head) => {
        const at = G.heads + head * 3;
        return { width: gauges[at], height: gauges[at + 1], committed: gauges[at + 2] };
      }),
    };
  }

  #store(head: number, display: RemoteDisplay | null): void {
    const at = DISPLAYS + head * 3;
    Atomics.store(this.#cells, at, display?.width ?? 0);
    Atomics.store(this.#cells, at + 1, display?.height ?? 0);
    Atomics.store(this.#cells, at + 2, millihertz(display?.refreshHz ?? 0));
  }
}

/** The host's end. */
export class HostRemote {
  readonly #cells: Int32Array;
  readonly #gauges: Float64Array;
  readonly #host: HostMachine;
  readonly #shown: string[] = [];
  #seen = 0;

  constructor(buffer: SharedArrayBuffer, host: HostMachine, displays: readonly RemoteDisplay[]) {
    this.#cells = new Int32Array(buffer, 0, CELLS);
    this.#gauges = gaugesOf(buffer);
    this.#host = host;
    for (const display of displays) this.#shown.push(keyOf(display));
    // A host started anew begins with the displays it was planned with.
    this.#displays();
  }

  /** Does what is wanted. @returns whether there was anything */
  poll(): boolean {
    const wanted = Atomics.load(this.#cells, HOST_WANTED);
    if (wanted === this.#seen) return false;
    this.#seen = wanted;
    const gauges = Atomics.load(this.#cells, GAUGES_WANTED);
    this.#displays();
    if (Atomics.load(this.#cells, HOST_GAUGES) !== gauges) {
      const { device } = this.#host;
      this.#gauges[G.resources] = device.resourceCount;
      this.#gauges[G.budget] = device.budgetUsed;
      this.#gauges[G.segments] = device.segmentsUsed;
      Atomics.store(this.#cells, HOST_GAUGES, gauges);
    }
    return true;
  }

  #displays(): void {
    const wanted = Atomics.load(this.#cells, DISPLAYS_WANTED);
    const displays = this.#shown.map((_, head) => this.#read(head));
    // Whoever writes them asks for another look afterwards.
    if (wanted % 2 !== 0 || Atomics.load(this.#cells, DISPLAYS_WANTED) !== wanted) return;
    for (const [head, display] of displays.entries()) {
      const key = keyOf(display);
      if (key === this.#shown[head]) continue;
      this.#shown[head] = key;
      this.#host.device.setDisplay(head, display);
    }
    Atomics.store(this.#cells, DISPLAYS_DONE, wanted);
  }

  #read(head: number): RemoteDisplay | null {
    const at = DISPLAYS + head * 3;
    const width = Atomics.load(this.#cells, at);
    if (width === 0) return null;
    return { width, height: Atomics.load(this.#cells, at + 1), refreshHz: Atomics.load(this.#cells, at + 2) / 1000 };
  }
}

/** The guest's end. */
export class GuestRemote {
  readonly #cells: Int32Array;
  readonly #gauges: Float64Array;
  readonly #guest: GuestMachine;
  readonly #remakes: Int32Array;
  #moves: number;
  #seen = 0;

  constructor(buffer: SharedArrayBuffer, guest: GuestMachine) {
    this.#cells = new Int32Array(buffer, 0, CELLS);
    this.#gauges = gaugesOf(buffer);
    this.#guest = guest;
    this.#remakes = Int32Array.from(guest.heads, (_, head) => Atomics.load(this.#cells, REMAKES + head));
    this.#moves = Atomics.load(this.#cells, MOVES);
  }

  /** Does what is wanted. @returns whether there was anything */
  poll(): boolean {
    const wanted = Atomics.load(this.#cells, GUEST_WANTED);
    if (wanted === this.#seen) return false;
    this.#seen = wanted;
    const layout = Atomics.load(this.#cells, LAYOUT);
    if (layout > 0) this.#guest.surfaces.layout = PAGE_LAYOUTS[layout - 1];
    for (let head = 0; head < this.#remakes.length; head++) {
      const remakes = Atomics.load(this.#cells, REMAKES + head);
      if (remakes === this.#remakes[head]) continue;
      this.#remakes[head] = remakes;
      this.#guest.modeSetting.remake(head);
    }
    for (const moves = Atomics.load(this.#cells, MOVES); this.#moves !== moves; this.#moves++) this.#guest.wantedMoves?.want();
    const gauges = Atomics.load(this.#cells, GAUGES_WANTED);
    if (Atomics.load(this.#cells, GUEST_GAUGES) !== gauges) {
      this.#write();
      Atomics.store(this.#cells, GUEST_GAUGES, gauges);
    }
    return true;
  }

  #write(): void {
    const { heads, modeSetting, gpu, compositor } = this.#guest;
    const gauges = this.#gauges;
    let buffers = 0;
    for (const [head, { surfaces }] of heads.entries()) {
      const mode = modeSetting.modeOf(head);
      const at = G.heads + head * 3;
      gauges[at] = mode?.width ?? 0;
      gauges[at + 1] = mode?.height ?? 0;
      gauges[at + 2] = compositor.committedOf(head);
      buffers += surfaces.length;
    }
    gauges[G.buffers] = buffers;
    gauges[G.held] = this.#guest.heldBytes;
    gauges[G.gpuBuffers] = gpu.buffers.length;
    gauges[G.settled] = modeSetting.settled ? 1 : 0;
  }
}

const gaugesOf = (buffer: SharedArrayBuffer): Float64Array => new Float64Array(buffer, CELLS * 4, GAUGE_CELLS);

const keyOf = (display: RemoteDisplay | null): string =>
  display === null ? 'none' : `${display.width}x${display.height}@${millihertz(display.refreshHz)}`;

/** 59.94 Hz is a whole number of them. */
const millihertz = (hz: number): number => Math.round(hz * 1000);
