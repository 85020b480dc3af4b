import { FENCE_WAIT_NS } from '../guest/plane.ts';
import type { Clock } from '../measure/clock.ts';
import { Counter, type Counters } from '../measure/counters.ts';
import { FrameColumn, FrameFlag, type FrameLog } from '../measure/frame-log.ts';
import type { Workload } from './workload.ts';
import { isTransfer, type WorkloadDriver } from './workload-driver.ts';

export interface WorkloadPlayerOptions {
  readonly workload: Workload;
  readonly driver: WorkloadDriver;
  readonly clock: Clock;
  readonly counters: Counters;
  readonly log: FrameLog;
  /** The display's period, ns. */
  readonly periodNs: number;
  /** Writes a frame's number into the pixels of an image of the workload. */
  readonly stamp: (image: number, frame: number) => void;
}

const HEAD = 0;
const NONE = -1;
/** A frame sent so much after its time was disturbed, ns. */
const LATE_NS = 1e6;

const BASE = 0;
const FREED = 1;
const FENCE_END = 2;
const FIRST_DUE = 3;

/**
 * Sends a workload's steps at their recorded times, cycle after cycle, so that the mean phase of its frames is that of the
 * display's ticks, half a period before the sink's vblanks; a cycle lasts a whole number of periods, so each meets the
 * display alike. A frame also waits for what the guest waited for: the fence of the flip before it (50 ms at most, as Linux
 * does), and its own buffer. After a wait of half a period or more it goes whole periods later than it was recorded, and all
 * that follows with it: a guest that waits for its host does not catch up, and one stall does not put every later frame out
 * of phase. What a frame was due at stays the time that its latency counts from.
 */
export class WorkloadPlayer {
  /** As the compositor's: when something is due by itself, ns. */
  readonly deadline = new Float64Array(1);
  /** As the compositor's: work since the last frame ended, ns. */
  readonly busyNs = new Float64Array(1);
  /** Frames whose FLUSH is answered. */
  committed = 0;
  readonly failed = 0;
  /** False: begins no frame more. */
  running = true;
  readonly #options: WorkloadPlayerOptions;
  readonly #transfer: Uint8Array;
  readonly #due: Float64Array;
  readonly #frame: Int32Array;
  readonly #cycleNs: number;
  /** ns at BASE: when this cycle began; FREED: when the last FLUSH was answered; FENCE_END: when the wait for a fence ends; FIRST_DUE: when the next frame was due before it was put off, 0: it was not. */
  readonly #times = new Float64Array(4);
  #step = 0;
  /** The frame that is being sent, as a frame of the cycle; NONE: none is. */
  #open = NONE;
  /** The next frame of the cycle to begin, its number in all, and whether it is drawn. */
  #next = 0;
  #sequence = 0;
  #drawn = false;
  /** It was due and could not be sent yet. */
  #held = false;
  /** Step of the FLUSH whose fence the next frame waits for, or NONE. */
  #awaited = NONE;
  /** By frame of the cycle: its row in the log. */
  readonly #row: Int32Array;
  /** By buffer: chains in flight of frames that use it. */
  readonly #uses: Int32Array;
  /** Rows of the frames that ended since the last charge. */
  readonly #ended: Int32Array;
  #endedCount = 0;

  constructor(options: WorkloadPlayerOptions) {
    const { workload, driver, periodNs } = options;
    const { steps, frames, buffers, cycleNs } = workload;
    this.#options = options;
    this.#transfer = Uint8Array.from(steps, (step) => (isTransfer(step) && buffers[frames[step.frame]?.buffer]?.kind === '2d' ? 1 : 0));
    this.#due = Float64Array.from(steps, ({ dueNs }) => dueNs);
    this.#frame = Int32Array.from(steps, ({ frame }) => frame);
    this.#row = new Int32Array(frames.length).fill(NONE);
    this.#uses = new Int32Array(buffers.length);
    this.#ended = new Int32Array(frames.length);
    const periods = Math.max(1, Math.round(cycleNs / periodNs));
    // No step may be due before the cycle's last one.
    this.#cycleNs = Math.max(periods, Math.ceil(this.#due[steps.length - 1] / periodNs)) * periodNs;
    driver.listen((step) => this.#answered(step));
  }

  committedOf(_head: number): number {
    return this.committed;
  }

  get idle(): boolean {
    return this.#open === NONE && this.#options.driver.inFlight === 0;
  }

  /** Begins the first cycle at the next time at which its frames are in phase with the ticks. Once, before the first poll. */
  start(): void {
    const { clock, periodNs, workload } = this.#options;
    const phase = meanPhase(
      workload.frames.map(({ first }) => this.#due[first]),
      periodNs,
    );
    clock.read();
    this.#times[BASE] = Math.ceil((clock.slot[0] + phase) / periodNs) * periodNs - phase;
  }

  /** One step. @returns whether anything progressed */
  poll(): boolean {
    const { driver } = this.#options;
    this.deadline[0] = Number.POSITIVE_INFINITY;
    let progressed = driver.poll();
    if (this.#draw()) progressed = true;
    while ((this.running || this.#open !== NONE) && this.#sendNext()) progressed = true;
    driver.publish();
    this.#charge();
    return progressed;
  }

  /** Draws the next frame as soon as its buffer is free, as a compositor would. */
  #draw(): boolean {
    const { workload, log, clock, stamp } = this.#options;
    if (this.#drawn || !this.running || this.#open !== NONE) return false;
    const { buffer, image } = workload.frames[this.#next];
    if (this.#uses[buffer] > 0) return false;
    const row = log.begin(HEAD, this.#sequence);
    this.#row[this.#next] = row;
    clock.read();
    log.cells[row + FrameColumn.renderStart] = clock.slot[0];
    stamp(image, this.#sequence);
    clock.read();
    log.cells[row + FrameColumn.renderEnd] = clock.slot[0];
    this.#drawn = true;
    return true;
  }

  /** Sends the next step if its time has come and nothing holds it up; else says when. */
  #sendNext(): boolean {
    const { driver, clock, workload } = this.#options;
    const step = this.#step;
    const frame = this.#frame[step];
    const begins = frame >= 0 && frame !== this.#open;
    clock.read();
    const due = this.#times[BASE] + this.#due[step];
    if (clock.slot[0] < due) {
      if (due < this.deadline[0]) this.deadline[0] = due;
      return false;
    }
    if (begins) {
      if (!this.#mayBegin()) {
        this.#held = true;
        return false;
      }
      if (this.#held && this.#putOff(due)) return false;
      this.#begin(frame);
    }
    if (!driver.submit(step)) return false;
    if (frame >= 0) {
      this.#uses[workload.frames[frame].buffer]++;
      if (step === workload.frames[frame].last) this.#close(frame, step);
    }
    this.#step++;
    if (this.#step === this.#due.length) {
      this.#step = 0;
      this.#times[BASE] += this.#cycleNs;
    }
    return true;
  }

  /** Whether the fence of the flip before is there, or its 50 ms are over, and the frame is drawn. */
  #mayBegin(): boolean {
    const times = this.#times;
    if (this.#awaited !== NONE) {
      const { clock, counters, log } = this.#options;
      if (clock.slot[0] < times[FENCE_END]) {
        if (times[FENCE_END] < this.deadline[0]) this.deadline[0] = times[FENCE_END];
        return false;
      }
      counters.add(Counter.fencesTimedOut, 1);
      const at = this.#row[this.#frame[this.#awaited]] + FrameColumn.guestFlags;
      log.cells[at] = log.cells[at] | FrameFlag.timedOut;
      this.#awaited = NONE;
      times[FREED] = clock.slot[0];
    }
    if (!this.#drawn) this.#draw();
    return this.#drawn;
  }

  /** After a wait of half a period or more: the frame, and all that follows, goes whole periods later. @returns whether it does */
  #putOff(due: number): boolean {
    const { clock, periodNs } = this.#options;
    const times = this.#times;
    this.#held = false;
    const waited = clock.slot[0] - due;
    if (waited < periodNs / 2) return false;
    if (times[FIRST_DUE] === 0) times[FIRST_DUE] = due;
    const by = Math.ceil(waited / periodNs) * periodNs;
    times[BASE] += by;
    if (due + by < this.deadline[0]) this.deadline[0] = due + by;
    return true;
  }

  #begin(frame: number): void {
    const { clock, log, counters, periodNs } = this.#options;
    const times = this.#times;
    const row = this.#row[frame];
    const due = times[BASE] + this.#due[this.#step];
    clock.read();
    // What it waited for its host is no lateness of this thread's.
    const late = clock.slot[0] - Math.max(due, times[FREED]);
    if (late > LATE_NS) {
      counters.add(Counter.vblankLate, 1);
      log.cells[row + FrameColumn.guestFlags] = FrameFlag.late;
    }
    counters.max(Counter.vblankLateMaxNs, late);
    log.cells[row + FrameColumn.scheduled] = times[FIRST_DUE] === 0 ? due : times[FIRST_DUE];
    times[FIRST_DUE] = 0;
    log.cells[row + FrameColumn.submit] = clock.slot[0];
    // This thread's own lateness: ticks that passed are not made up for either.
    times[BASE] += Math.floor((clock.slot[0] - due) / periodNs) * periodNs;
    this.#open = frame;
  }

  /** The frame's FLUSH is in the ring. */
  #close(frame: number, flush: number): void {
    const { workload, clock, counters } = this.#options;
    counters.add(Counter.flushes, 1);
    this.#open = NONE;
    this.#drawn = false;
    this.#sequence++;
    this.#next = frame + 1 === workload.frames.length ? 0 : frame + 1;
    if (!workload.frames[frame].fenced) return;
    this.#awaited = flush;
    this.#times[FENCE_END] = clock.slot[0] + FENCE_WAIT_NS;
  }

  #answered(step: number): void {
    const { workload, clock, log } = this.#options;
    const frame = this.#frame[step];
    // Steps come first in the driver's numbers; what is no step made the resources.
    if (frame === undefined || frame < 0) return;
    const { buffer, last, fenced } = workload.frames[frame];
    const row = this.#row[frame];
    this.#uses[buffer]--;
    clock.read();
    if (this.#transfer[step] !== 0) log.cells[row + FrameColumn.responseSeen] = clock.slot[0];
    if (step !== last) return;
    this.#times[FREED] = clock.slot[0];
    if (this.#awaited === step) this.#awaited = NONE;
    const inTime = (log.cells[row + FrameColumn.guestFlags] & FrameFlag.timedOut) === 0;
    if (fenced && inTime) log.cells[row + FrameColumn.fenceSeen] = clock.slot[0];
    this.committed++;
    this.#ended[this.#endedCount++] = row;
  }

  /** The work so far, in equal parts to the frames that ended in this poll. */
  #charge(): void {
    if (this.#endedCount === 0) return;
    const { cells } = this.#options.log;
    const part = this.busyNs[0] / this.#endedCount;
    for (let i = 0; i < this.#endedCount; i++) cells[this.#ended[i] + FrameColumn.guestService] = part;
    this.busyNs[0] = 0;
    this.#endedCount = 0;
  }
}

/** Of times on a circle of one period: within half a period of 0. */
function meanPhase(times: readonly number[], period: number): number {
  let sine = 0;
  let cosine = 0;
  for (const time of times) {
    sine += Math.sin((2 * Math.PI * time) / period);
    cosine += Math.cos((2 * Math.PI * time) / period);
  }
  return (Math.atan2(sine, cosine) / (2 * Math.PI)) * period;
}
