import type { GpuBuffer } from '../dmabuf/gpu.ts';
import type { SegmentList } from '../memory/segments.ts';
import type { Plane } from './plane.ts';
import type { RenderTarget } from './renderer.ts';
import type { Framebuffer } from './resource.ts';

/** One buffer of a head's swap chain. */
export interface Surface {
  readonly target: RenderTarget;
  readonly framebuffer: Framebuffer;
  /** The GPU's buffer that is drawn into; null when the dumb buffer itself is. */
  readonly gpu: GpuBuffer | null;
  /** The dumb buffer that the GPU's buffer is read back into; null on the importing paths. */
  readonly readback: SegmentList | null;
}

export interface HeadPlan {
  readonly plane: Plane;
  /**
   * Two: double buffering; three: the next frame is drawn while a commit waits. None: the head is off. Replaced by
   * `Compositor.resume`.
   */
  surfaces: readonly Surface[];
}

export const NONE = -1;

/** One head's swap chain: at most one surface ready, one in commit, one on screen. */
export class SwapChain {
  readonly plane: Plane;
  row: Int32Array;
  busy: Uint8Array;
  /** Frames drawn, which is the number of the next. */
  drawn = 0;
  /** Frames whose commit has ended. */
  committed = 0;
  ready = NONE;
  committing = NONE;
  front = NONE;
  /** The next tick at which a frame is due. */
  tick = 0;
  /** The tick at which the ready frame was due: earlier than `tick` if it has missed some. */
  due = 0;
  /** Nothing is drawn: a mode set is under way. */
  held = false;
  /** Nothing is drawn before this time, ns: the last commit failed. */
  readonly retryNs = new Float64Array(1);
  readonly #plan: HeadPlan;

  constructor(plan: HeadPlan) {
    this.#plan = plan;
    this.plane = plan.plane;
    this.row = new Int32Array(plan.surfaces.length);
    this.busy = new Uint8Array(plan.surfaces.length);
  }

  get surfaces(): readonly Surface[] {
    return this.#plan.surfaces;
  }

  /** Draws no more; a frame that was drawn and is not in commit is dropped, and its number given to the next. */
  hold(): void {
    this.held = true;
    if (this.ready === NONE) return;
    this.busy[this.ready] = 0;
    this.ready = NONE;
    this.drawn--;
  }

  /** Goes on with other surfaces, of which none has been shown. */
  resume(surfaces: readonly Surface[]): void {
    this.#plan.surfaces = surfaces;
    this.row = new Int32Array(surfaces.length);
    this.busy = new Uint8Array(surfaces.length);
    this.front = NONE;
    this.retryNs[0] = 0;
    this.held = false;
  }
}
