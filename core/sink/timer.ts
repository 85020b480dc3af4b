import { Counter, type Counters } from '../measure/counters.ts';
import { FrameFlag } from '../measure/frame-log.ts';
import type { ScanoutImage, Sink } from './sink.ts';

export interface ScanoutTiming {
  /** Scanouts served. */
  heads: number;
  /** ns from one vblank to the next; 0: no vblank, a frame is shown as soon as it is presented. */
  periodNs: number;
  /** Time of vblank 0, ns on the session's timeline. */
  phaseNs: number;
  /** ns from when a frame is shown to the sink's last read of it. */
  scanoutNs: number;
  /** Counts late vblanks (Counter.vblankLate, vblankLateMaxNs). */
  counters?: Counters | null;
}

/** At most this many releases are reported by one `pollReleases`; the caller polls until it answers 0. */
export const RELEASES_PER_POLL = 64;
/** A vblank seen later than this counts as late, ns. */
const LATE_NS = 1e6;

/** `from` of a frame that was never shown. */
const NEVER = Number.NEGATIVE_INFINITY;

const State = { pending: 0, shown: 1, ended: 2 } as const;

/**
 * When a sink shows and releases frames; what it does with their pixels is left to `shown` and `ended`.
 *
 * Without a period a frame is shown at once. With one, vblank k (at `phaseNs` + k · `periodNs`) latches each
 * scanout's newest frame presented before it; an older one that was still waiting is superseded. A frame is
 * released `scanoutNs` after it was shown, whether another one follows or not. Several frames of a scanout may
 * be in the works at a time. Allocates only when more are in the works than ever before.
 */
export class ScanoutTimer implements Sink {
  readonly releasedScanout = new Int32Array(RELEASES_PER_POLL);
  readonly releasedFrame = new Int32Array(RELEASES_PER_POLL);
  readonly releasedFlags = new Int32Array(RELEASES_PER_POLL);
  readonly presentedNs = new Float64Array(RELEASES_PER_POLL);
  readonly releasedNs = new Float64Array(RELEASES_PER_POLL);
  readonly vblank = new Float64Array(RELEASES_PER_POLL);
  readonly deadline = new Float64Array(1).fill(Number.POSITIVE_INFINITY);
  protected readonly counters: Counters | null;
  readonly #heads: number;
  readonly #periodNs: number;
  readonly #phaseNs: number;
  readonly #scanoutNs: number;
  readonly #current: (ScanoutImage | null)[];

  // Frames in the works, in the order they were presented: [0, #count).
  #count = 0;
  /** The latest time the caller told. */
  readonly #lastNow = new Float64Array(1);
  #image: (ScanoutImage | null)[] = new Array<ScanoutImage | null>(16).fill(null);
  #scanout = new Int32Array(16);
  #frame = new Int32Array(16);
  #state = new Uint8Array(16);
  #flags = new Int32Array(16);
  /** pending: time of its vblank; shown: when it was shown; ended: the same, or NEVER. */
  #from = new Float64Array(16);
  /** shown, ended: time of release. */
  #until = new Float64Array(16);
  #vblankIndex = new Float64Array(16);

  constructor(timing: ScanoutTiming) {
    if (!(timing.heads > 0) || !(timing.periodNs >= 0) || !(timing.scanoutNs >= 0) || !Number.isFinite(timing.phaseNs)) {
      throw new RangeError('a sink needs heads ≥ 1, a period ≥ 0 ns, a scanout time ≥ 0 ns and a finite phase');
    }
    this.#heads = timing.heads;
    this.#periodNs = timing.periodNs;
    this.#phaseNs = timing.phaseNs;
    this.#scanoutNs = timing.scanoutNs;
    this.counters = timing.counters ?? null;
    this.#current = new Array<ScanoutImage | null>(timing.heads).fill(null);
  }

  /** Called when head `scanout` begins to read `image`. `slot` names the frame until `ended`, below `slots()`. */
  protected shown(_image: ScanoutImage, _frame: number, _slot: number, _scanout: number): void {}

  /** Called at the sink's last read of a frame that was shown. @returns FrameFlag bits to add */
  protected ended(_image: ScanoutImage, _frame: number, _slot: number): number {
    return 0;
  }

  /** Called when the frame in slot `from` is from now on in slot `to` (`from` > `to`). */
  protected moved(_from: number, _to: number): void {}

  /** Frames that were ever in the works at a time, rounded up. */
  protected slots(): number {
    return this.#state.length;
  }

  setScanout(scanout: number, image: ScanoutImage | null): void {
    if (!(scanout >= 0 && scanout < this.#heads)) throw new RangeError(`scanout ${scanout} of ${this.#heads}`);
    this.#current[scanout] = image;
    // A frame that waits for its vblank will not be shown by a scanout that is off.
    if (image === null) this.#supersede(scanout, this.#count);
  }

  present(scanout: number, frame: number, now: Float64Array): void {
    const nowNs = now[0];
    const image = this.#current[scanout];
    this.#advance(now);
    if (this.#count === this.#state.length) this.#grow();
    const slot = this.#count++;
    this.#image[slot] = image;
    this.#scanout[slot] = scanout;
    this.#frame[slot] = frame;
    this.#flags[slot] = 0;
    this.#vblankIndex[slot] = 0;
    this.#until[slot] = nowNs;
    if (image === null) {
      this.#from[slot] = NEVER;
      this.#state[slot] = State.ended;
      this.#flags[slot] = FrameFlag.superseded;
    } else if (this.#periodNs === 0) {
      this.#from[slot] = nowNs;
      this.#until[slot] = nowNs + this.#scanoutNs;
      this.#state[slot] = State.shown;
      this.shown(image, frame, slot, scanout);
    } else {
      this.#supersede(scanout, slot);
      // Strictly after now: the vblank of this very moment has latched already.
      const index = Math.max(0, Math.floor((nowNs - this.#phaseNs) / this.#periodNs) + 1);
      this.#from[slot] = this.#phaseNs + index * this.#periodNs;
      this.#vblankIndex[slot] = index + 1;
      this.#state[slot] = State.pending;
    }
    this.#schedule();
  }

  pollReleases(now: Float64Array): number {
    if (this.#count === 0) return 0;
    const nowNs = now[0];
    this.#advance(now);
    let released = 0;
    let kept = 0;
    for (let i = 0; i < this.#count; i++) {
      const state = this.#state[i];
      if (released < RELEASES_PER_POLL && state !== State.pending && this.#until[i] <= nowNs) {
        this.releasedScanout[released] = this.#scanout[i];
        this.releasedFrame[released] = this.#frame[i];
        let flags = this.#flags[i];
        if (this.#periodNs > 0 && state === State.shown && nowNs - this.#until[i] > LATE_NS) flags |= FrameFlag.late;
        const image = this.#image[i];
        if (state === State.shown && image !== null) flags |= this.ended(image, this.#frame[i], i);
        this.releasedFlags[released] = flags;
        // 0 says never, so a frame shown at time 0 says 1.
        this.presentedNs[released] = this.#from[i] === NEVER ? 0 : Math.max(this.#from[i], 1);
        this.releasedNs[released] = this.#until[i];
        this.vblank[released] = this.#vblankIndex[i];
        this.#image[i] = null;
        released++;
      } else {
        if (kept !== i) this.#move(i, kept);
        kept++;
      }
    }
    this.#count = kept;
    this.#schedule();
    return released;
  }

  stop(resourceId: number): void {
    for (let i = 0; i < this.#count; i++) {
      const image = this.#image[i];
      if (image === null || image.resourceId !== resourceId) continue;
      if (this.#state[i] === State.shown) {
        // Its pixels may change from here on, so what the last read would find is taken now.
        this.#flags[i] |= this.ended(image, this.#frame[i], i);
        this.#until[i] = Math.min(this.#until[i], this.#lastNow[0]);
      } else if (this.#state[i] === State.pending) {
        this.#from[i] = NEVER;
        this.#until[i] = 0;
        this.#vblankIndex[i] = 0;
      }
      this.#state[i] = State.ended;
    }
    for (let i = 0; i < this.#heads; i++) {
      if (this.#current[i]?.resourceId === resourceId) this.#current[i] = null;
    }
    this.#schedule();
  }

  holds(resourceId: number): boolean {
    for (let i = 0; i < this.#count; i++) {
      if (this.#image[i]?.resourceId === resourceId) return true;
    }
    return false;
  }

  /** Latches what is due. */
  #advance(now: Float64Array): void {
    const nowNs = now[0];
    this.#lastNow[0] = nowNs;
    for (let i = 0; i < this.#count; i++) {
      if (this.#state[i] !== State.pending || this.#from[i] > nowNs) continue;
      this.#state[i] = State.shown;
      this.#until[i] = this.#from[i] + this.#scanoutNs;
      const late = nowNs - this.#from[i];
      if (late > LATE_NS) this.#flags[i] |= FrameFlag.late;
      if (this.counters !== null) {
        if (late > LATE_NS) this.counters.add(Counter.vblankLate, 1);
        this.counters.max(Counter.vblankLateMaxNs, late);
      }
      const image = this.#image[i];
      if (image !== null) this.shown(image, this.#frame[i], i, this.#scanout[i]);
    }
  }

  /** Ends the frames of a scanout in slots below `before` that wait for their vblank. */
  #supersede(scanout: number, before: number): void {
    for (let i = 0; i < before; i++) {
      if (this.#scanout[i] !== scanout || this.#state[i] !== State.pending) continue;
      this.#state[i] = State.ended;
      this.#flags[i] |= FrameFlag.superseded;
      this.#from[i] = NEVER;
      this.#until[i] = 0;
      this.#vblankIndex[i] = 0;
    }
    this.#schedule();
  }

  #schedule(): void {
    let next = Number.POSITIVE_INFINITY;
    for (let i = 0; i < this.#count; i++) {
      const at = this.#state[i] === State.pending ? this.#from[i] : this.#until[i];
      if (at < next) next = at;
    }
    this.deadline[0] = next;
  }

  #move(from: number, to: number): void {
    this.#image[to] = this.#image[from];
    this.#image[from] = null;
    this.#scanout[to] = this.#scanout[from];
    this.#frame[to] = this.#frame[from];
    this.#state[to] = this.#state[from];
    this.#flags[to] = this.#flags[from];
    this.#from[to] = this.#from[from];
    this.#until[to] = this.#until[from];
    this.#vblankIndex[to] = this.#vblankIndex[from];
    this.moved(from, to);
  }

  #grow(): void {
    const size = this.#state.length * 2;
    while (this.#image.length < size) this.#image.push(null);
    this.#scanout = copyInto(new Int32Array(size), this.#scanout);
    this.#frame = copyInto(new Int32Array(size), this.#frame);
    this.#state = copyInto(new Uint8Array(size), this.#state);
    this.#flags = copyInto(new Int32Array(size), this.#flags);
    this.#from = copyInto(new Float64Array(size), this.#from);
    this.#until = copyInto(new Float64Array(size), this.#until);
    this.#vblankIndex = copyInto(new Float64Array(size), this.#vblankIndex);
  }
}

function copyInto<T extends Int32Array | Uint8Array | Float64Array>(to: T, from: T): T {
  to.set(from);
  return to;
}
