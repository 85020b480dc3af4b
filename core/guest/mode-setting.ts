import { Counter } from '../measure/counters.ts';
import type { Compositor } from './compositor.ts';
import type { VirtioGpuDriver } from './driver.ts';
import { AllocationError } from './errors.ts';
import type { HeadPlan, Surface } from './swap-chain.ts';

/** Pixels. */
export interface Mode {
  readonly width: number;
  readonly height: number;
}

/** Where a head's buffers come from and go to. May block, as allocating and freeing do. */
export interface SurfaceSource {
  /** Whether there is memory for a head of this mode. */
  fits(mode: Mode): boolean;
  /** Whether there is, beside all the buffers that there are now. */
  hasRoom(mode: Mode): boolean;
  /** A whole swap chain. @throws AllocationError when it cannot be had; nothing is kept of it */
  make(mode: Mode): Surface[];
  free(surfaces: readonly Surface[]): void;
}

/** The guest's own limits of a mode, pixels a side (virtgpu_display.c: XRES_MIN … XRES_MAX). */
const MIN_SIDE = 32;
const MAX_SIDE = 8192;

/** What is to become of a head. */
const Task = { none: 0, follow: 1, remake: 2 } as const;

/**
 * What follows a config change once the driver knows the displays (`DisplayState`): the kernel's hot-plug event and the
 * compositor's answer to it (virtgpu_kms.c, virtio_gpu_config_changed_work_func; drm_kms_helper_hotplug_event). A head whose
 * display went is disabled and its buffers freed; one whose display came or has another preferred mode gets buffers of that
 * size. Each head waits for its own commit in progress; then the mode set blocks, as Linux' does. One that fails leaves the
 * head as it was (drm_atomic_helper_commit: what fails does so before drm_atomic_helper_swap_state).
 */
export class ModeSetting {
  readonly #driver: VirtioGpuDriver;
  readonly #compositor: Compositor;
  readonly #heads: readonly HeadPlan[];
  readonly #source: SurfaceSource;
  readonly #modes: (Mode | null)[];
  /** What each head is to follow: of the last config change. */
  readonly #targets: (Mode | null)[];
  /** What each display asked for last that this guest has no memory for; null: nothing. */
  readonly #unfit: (Mode | null)[];
  /** What each display asked for at the start, for a head that keeps its size until that changes; undefined: it follows its display. */
  readonly #kept: (Mode | null | undefined)[];
  readonly #tasks: Uint8Array;
  #pending = 0;
  #seen: number;

  /**
   * @param mode of the buffers that every head has now
   * @param keeps whether each head keeps it until its display changes, whatever that prefers now
   */
  constructor(
    driver: VirtioGpuDriver,
    compositor: Compositor,
    heads: readonly HeadPlan[],
    mode: Mode,
    source: SurfaceSource,
    keeps = false,
  ) {
    this.#driver = driver;
    this.#compositor = compositor;
    this.#heads = heads;
    this.#source = source;
    this.#modes = heads.map(() => mode);
    this.#targets = heads.map(() => mode);
    this.#unfit = heads.map(() => null);
    this.#kept = heads.map((_, head) => (keeps ? this.#asked(head) : undefined));
    this.#tasks = new Uint8Array(heads.length);
    // What the probe found is looked at once: a guest that was started anew finds the displays as they are by then.
    this.#seen = driver.display.generation - 1;
  }

  /** What a head shows; null: it is off. */
  modeOf(head: number): Mode | null {
    return this.#modes[head];
  }

  /** Every head shows what its display asks for, as far as the guest has been told. */
  get settled(): boolean {
    return this.#pending === 0 && !this.#driver.displayChanging && this.#driver.display.generation === this.#seen;
  }

  /** Gives a head new buffers of the size it has, in other places. A head that is off stays off. */
  remake(head: number): void {
    if (this.#modes[head] !== null) this.#assign(head, Task.remake);
  }

  /** @returns whether a mode was set */
  poll(): boolean {
    const { generation } = this.#driver.display;
    if (generation !== this.#seen && !this.#driver.displayChanging) {
      this.#seen = generation;
      for (let head = 0; head < this.#heads.length; head++) {
        if (this.#keeps(head)) continue;
        this.#targets[head] = this.#wanted(head);
        if (!same(this.#targets[head], this.#modes[head])) this.#assign(head, Task.follow);
      }
    }
    if (this.#pending === 0) return false;
    let progressed = false;
    for (let head = 0; head < this.#heads.length; head++) {
      if (this.#tasks[head] === Task.none || !this.#compositor.quiet(head)) continue;
      this.#set(head, this.#tasks[head] === Task.remake ? this.#modes[head] : this.#targets[head]);
      this.#tasks[head] = Task.none;
      this.#pending--;
      progressed = true;
    }
    return progressed;
  }

  #assign(head: number, task: number): void {
    if (this.#tasks[head] === Task.none) {
      this.#pending++;
      this.#compositor.hold(head);
    }
    // A display's wish comes before new buffers of the old size.
    if (this.#tasks[head] !== Task.follow) this.#tasks[head] = task;
  }

  #keeps(head: number): boolean {
    const kept = this.#kept[head];
    if (kept !== undefined && !same(kept, this.#asked(head))) this.#kept[head] = undefined;
    return this.#kept[head] !== undefined;
  }

  /** A display's preferred mode: the EDID's, else the display info's (virtgpu_display.c, virtio_gpu_conn_get_modes); null: no display. */
  #asked(head: number): Mode | null {
    const { display } = this.#driver;
    const info = display.heads[head];
    return info?.enabled === true ? (display.modes[head] ?? info) : null;
  }

  /** What a head is to show. */
  #wanted(head: number): Mode | null {
    const refused = this.#unfit[head];
    this.#unfit[head] = null;
    const asked = this.#asked(head);
    if (asked === null) return null;
    const { width, height } = asked;
    const valid = width >= MIN_SIDE && height >= MIN_SIDE && width <= MAX_SIDE && height <= MAX_SIDE;
    const mode = { width, height };
    if (valid && this.#source.fits(mode)) return mode;
    // Once a wish: a change of another display asks for it again.
    if (!same(mode, refused)) this.#driver.counters.add(Counter.modesRefused, 1);
    this.#unfit[head] = mode;
    return this.#modes[head];
  }

  #set(head: number, mode: Mode | null): void {
    if (mode === null) {
      this.#clear(head);
      this.#show(head, null, []);
    } else if (this.#source.hasRoom(mode)) {
      this.#exchange(head, mode);
    } else {
      this.#exchangeInPlace(head, mode);
    }
  }

  /** New buffers before the old ones go: where they cannot be had nothing has changed. */
  #exchange(head: number, mode: Mode): void {
    const made = this.#make(mode);
    if (made === null) {
      this.#compositor.release(head);
      return;
    }
    this.#clear(head);
    this.#show(head, mode, made);
  }

  /** The old buffers make room for the new ones; where those cannot be had the old mode's are made again, else the head is off. */
  #exchangeInPlace(head: number, mode: Mode): void {
    const old = this.#modes[head];
    this.#clear(head);
    const made = this.#make(mode);
    if (made !== null) {
      this.#show(head, mode, made);
      return;
    }
    const again = old === null ? null : this.#make(old);
    this.#modes[head] = again === null ? null : old;
    this.#compositor.resume(head, again ?? []);
  }

  /** @returns null, counted, where the buffers cannot be had */
  #make(mode: Mode): Surface[] | null {
    try {
      return this.#source.make(mode);
    } catch (error) {
      if (!(error instanceof AllocationError)) throw error;
      this.#driver.counters.add(Counter.modesRefused, 1);
      return null;
    }
  }

  #clear(head: number): void {
    const { plane, surfaces } = this.#heads[head];
    if (surfaces.length > 0) plane.disable();
    this.#source.free(surfaces);
  }

  #show(head: number, mode: Mode | null, surfaces: readonly Surface[]): void {
    this.#modes[head] = mode;
    this.#compositor.resume(head, surfaces);
    this.#driver.counters.add(Counter.modeSets, 1);
  }
}

const same = (a: Mode | null, b: Mode | null): boolean =>
  a === b || (a !== null && b !== null && a.width === b.width && a.height === b.height);
