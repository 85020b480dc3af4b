import { FenceUsage } from '../dmabuf/reservation.ts';
import type { Clock } from '../measure/clock.ts';
import { Counter, type Counters } from '../measure/counters.ts';
import { FrameColumn, FrameFlag, type FrameLog } from '../measure/frame-log.ts';
import type { Copier } from '../memory/copier.ts';
import { CopyStage } from '../memory/ledger.ts';
import type { Rect } from './plane.ts';
import type { Renderer } from './renderer.ts';
import { type HeadPlan, NONE, type Surface, SwapChain } from './swap-chain.ts';

export type { HeadPlan, Surface } from './swap-chain.ts';

export interface CompositorOptions {
  readonly heads: readonly HeadPlan[];
  readonly renderer: Renderer;
  readonly clock: Clock;
  readonly counters: Counters;
  readonly log: FrameLog;
  readonly copier: Copier;
  /** The virtual vblank's period, ns; ticks at its multiples on the session's timeline. 0: as fast as the host answers. */
  readonly periodNs: number;
  /** What each frame changes, when the framebuffer stays the same; null: the whole frame. */
  readonly damage: Rect | null;
  /** Called with each surface that has come free, before it is drawn into again: where a buffer may be moved. */
  readonly onFree?: (surface: Surface, frame: number) => void;
}

/** After a failed commit the next is tried this much later, ns, where no tick says when. */
const RETRY_NS = 1e6;

/**
 * Draws frames and flips them: on a virtual vblank (open loop: a frame is due at each tick, and latency counts
 * from there) or as fast as the host answers (closed loop). `poll` never blocks.
 */
export class Compositor {
  /** When something is due by itself (a tick, the end of a fence's 50 ms), ns; Infinity: nothing. */
  readonly deadline = new Float64Array(1);
  /** Work done since the last frame ended, ns; the outer loop adds, the frame that ends next takes it. */
  readonly busyNs = new Float64Array(1);
  /** Frames whose commit ended, over all heads. */
  committed = 0;
  /** Frames that could not be committed (prepare_fb failed). */
  failed = 0;
  /** False: draws nothing more; what is under way ends. */
  running = true;
  readonly #options: CompositorOptions;
  readonly #heads: SwapChain[];
  /** Rows of the frames that ended in this poll. */
  readonly #ended: Int32Array;
  #endedCount = 0;

  constructor(options: CompositorOptions) {
    this.#options = options;
    this.#heads = options.heads.map((plan) => new SwapChain(plan));
    // A head may end a commit twice in a poll: one that waited, and one that need not.
    this.#ended = new Int32Array(2 * options.heads.length);
    for (const head of this.#heads) {
      if (head.surfaces.length < 1) throw new RangeError('a head needs at least one surface');
    }
  }

  /** Frames drawn on a head so far. */
  drawn(head: number): number {
    return this.#heads[head].drawn;
  }

  /** Frames of a head whose commit has ended: those before this number. */
  committedOf(head: number): number {
    return this.#heads[head].committed;
  }

  /** True when nothing is in commit or about to be. */
  get idle(): boolean {
    for (const head of this.#heads) if (head.committing !== NONE || head.ready !== NONE) return false;
    return true;
  }

  /** Begins ticking at the first tick after the clock's time. Call once before the first poll of a paced run. */
  start(): void {
    const { clock, periodNs } = this.#options;
    if (periodNs === 0) return;
    clock.read();
    for (const head of this.#heads) this.#startTicking(head);
  }

  /** Mode set, first step: the head draws nothing more; what is in commit ends. */
  hold(head: number): void {
    this.#heads[head].hold();
  }

  /** Whether a head that is held has nothing in commit: its surfaces may go. */
  quiet(head: number): boolean {
    return this.#heads[head].committing === NONE;
  }

  /**
   * Mode set, last step: the head goes on with these surfaces, from the next tick; none: it is off. Frames are counted on.
   * @throws Error while a commit is under way
   */
  resume(head: number, surfaces: readonly Surface[]): void {
    if (!this.quiet(head)) throw new Error(`head ${head} is given other surfaces with a frame in commit`);
    const chain = this.#heads[head];
    chain.resume(surfaces);
    this.#goOn(chain);
  }

  /** Mode set, last step where it has failed: the head goes on with the surfaces that it has, from the next tick. */
  release(head: number): void {
    const chain = this.#heads[head];
    chain.held = false;
    this.#goOn(chain);
  }

  #goOn(head: SwapChain): void {
    const { clock, periodNs } = this.#options;
    if (periodNs === 0) return;
    clock.read();
    this.#startTicking(head);
  }

  #startTicking(head: SwapChain): void {
    const { clock, periodNs } = this.#options;
    head.tick = Math.floor(clock.slot[0] / periodNs) + 1;
    head.due = head.tick;
  }

  /** One step of every head. @returns whether anything progressed */
  poll(): boolean {
    let progressed = false;
    this.deadline[0] = Number.POSITIVE_INFINITY;
    for (let i = 0; i < this.#heads.length; i++) if (this.#step(this.#heads[i])) progressed = true;
    if (this.#endedCount > 0) this.#charge();
    return progressed;
  }

  #step(head: SwapChain): boolean {
    let progressed = false;
    if (head.committing !== NONE) {
      if (head.plane.poll()) {
        this.#endCommit(head);
        progressed = true;
      } else if (head.plane.deadline[0] < this.deadline[0]) {
        this.deadline[0] = head.plane.deadline[0];
      }
    }
    if (head.held || head.surfaces.length === 0) return progressed;
    if (head.ready === NONE && this.running && !this.#backsOff(head) && this.#draw(head)) progressed = true;
    if (head.ready !== NONE && head.committing === NONE && this.#flip(head)) progressed = true;
    else if (this.#options.periodNs !== 0 && (this.running || head.ready !== NONE)) this.#passTicks(head);
    return progressed;
  }

  /** The work so far, in equal parts to the frames that ended in this poll. */
  #charge(): void {
    const { cells } = this.#options.log;
    const part = this.busyNs[0] / this.#endedCount;
    for (let i = 0; i < this.#endedCount; i++) cells[this.#ended[i] + FrameColumn.guestService] = part;
    this.busyNs[0] = 0;
    this.#endedCount = 0;
  }

  #endCommit(head: SwapChain): void {
    const done = head.committing;
    head.committing = NONE;
    if (head.front !== NONE && head.front !== done) head.busy[head.front] = 0;
    head.front = done;
    this.#ended[this.#endedCount++] = head.row[done];
    head.committed++;
    this.committed++;
  }

  /** Draws the next frame into a free surface. */
  #draw(head: SwapChain): boolean {
    const free = this.#freeSurface(head);
    if (free === NONE) return false;
    const { log, clock, renderer, onFree } = this.#options;
    const surface = head.surfaces[free];
    const frame = head.drawn;
    if (onFree !== undefined) onFree(surface, frame);
    const row = log.begin(head.plane.head, frame);
    head.row[free] = row;
    clock.read();
    log.cells[row + FrameColumn.renderStart] = clock.slot[0];
    log.cells[row + FrameColumn.scheduled] = clock.slot[0];
    renderer.render(surface.target, frame);
    clock.read();
    log.cells[row + FrameColumn.renderEnd] = clock.slot[0];
    head.drawn = frame + 1;
    head.busy[free] = 1;
    head.ready = free;
    return true;
  }

  /** A surface that neither the screen nor a commit nor the host (an overdue fence) has. With one surface: itself once idle. */
  #freeSurface(head: SwapChain): number {
    const { surfaces } = head;
    for (let i = 0; i < surfaces.length; i++) {
      if (head.busy[i] === 1 && !(surfaces.length === 1 && head.committing === NONE)) continue;
      const { framebuffer } = surfaces[i];
      if (framebuffer.overdue !== null) {
        if (framebuffer.overdue.state === 'pending') continue;
        framebuffer.overdue = null;
      }
      const { resource } = framebuffer;
      // Implicit synchronisation: the GPU's job waits for the fences on the buffer.
      if (resource.kind === 'imported' && !resource.resv.idle(FenceUsage.READ)) continue;
      return i;
    }
    return NONE;
  }

  /** Commits the ready surface if its time has come. */
  #flip(head: SwapChain): boolean {
    const { periodNs, clock, log, damage, counters, copier } = this.#options;
    if (periodNs !== 0) {
      clock.read();
      const late = clock.slot[0] - head.tick * periodNs;
      if (late < 0) return false;
      // Ticks that passed while a commit waited moved on in passTicks: this is the wake-up's lateness alone.
      if (late > 1e6) {
        counters.add(Counter.vblankLate, 1);
        log.cells[head.row[head.ready] + FrameColumn.guestFlags] = FrameFlag.late;
      }
      counters.max(Counter.vblankLateMaxNs, late);
    }
    // Before the readback: a frame that has to wait for the ring is read back once.
    if (!head.plane.hasRoom) return false;
    const at = head.ready;
    const surface = head.surfaces[at];
    const row = head.row[at];
    if (surface.readback !== null) {
      copier.copy(surface.readback, 0, surface.target.pages, 0, surface.target.stride * surface.target.height, CopyStage.readback);
    }
    if (periodNs !== 0) {
      log.cells[row + FrameColumn.scheduled] = head.due * periodNs;
    }
    if (!head.plane.begin(surface.framebuffer, damage, row)) {
      if (head.plane.lastError === null) return false;
      this.#fail(head, at);
      return true;
    }
    head.ready = NONE;
    head.committing = at;
    if (periodNs !== 0) {
      head.tick++;
      head.due = head.tick;
    }
    if (head.plane.idle) this.#endCommit(head);
    return true;
  }

  /** The frame is lost, its surface free again; the next one is drawn in its place, at the next tick or a little later. */
  #fail(head: SwapChain, at: number): void {
    const { clock, periodNs } = this.#options;
    this.failed++;
    head.busy[at] = 0;
    head.ready = NONE;
    head.drawn--;
    clock.read();
    if (periodNs === 0) {
      head.retryNs[0] = clock.slot[0] + RETRY_NS;
      return;
    }
    head.tick++;
    head.due = head.tick;
    head.retryNs[0] = head.tick * periodNs;
  }

  /** Whether the head waits after a failure; the time it waits for is a deadline. */
  #backsOff(head: SwapChain): boolean {
    if (head.retryNs[0] === 0) return false;
    const { clock } = this.#options;
    clock.read();
    if (clock.slot[0] >= head.retryNs[0]) {
      head.retryNs[0] = 0;
      return false;
    }
    if (head.retryNs[0] < this.deadline[0]) this.deadline[0] = head.retryNs[0];
    return true;
  }

  /** Ticks that pass without a flip are missed; the next one is the deadline. */
  #passTicks(head: SwapChain): void {
    const { periodNs, clock } = this.#options;
    clock.read();
    const waits = head.committing !== NONE || head.ready === NONE || !head.plane.hasRoom;
    const now = clock.slot[0];
    if (waits && now >= head.tick * periodNs) head.tick = Math.floor(now / periodNs) + 1;
    const next = head.tick * periodNs;
    if (next < this.deadline[0]) this.deadline[0] = next;
  }
}
