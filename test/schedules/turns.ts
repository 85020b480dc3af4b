/**
 * Turns: of two threads one runs at a time, and the other gets its turn where the schedule says so, where the running one
 * blocks, and where it ends. A thread runs freely in between, so a schedule costs a handover for each of these only.
 *
 * A schedule is a list of ascending steps: before each of these the running thread is preempted, if the other one can
 * run. A step is one access to shared memory, by either thread, counted from the moment the schedule is armed.
 */

export const DRIVER = 0;
export const DEVICE = 1;
export type Side = typeof DRIVER | typeof DEVICE;

/** A run of more steps never ends. */
export const MAX_STEPS = 4000;
/** The most preemptions a schedule may ask for. */
export const MAX_PREEMPTIONS = 1000;

/** How a run ended. */
export const Failure = { none: 0, lostWakeUp: 1, wrong: 2, endless: 3 } as const;

/** An entry of the log: the location << 3, and these. A location is a 4-byte word. */
export const LOG_WRITE = 1;
export const LOG_DEVICE = 2;
/** The other side could have run. */
export const LOG_SWITCHABLE = 4;
export const LOG_SHIFT = 3;
/** The location of an access whose address is not known: it conflicts with each other. */
export const ANYWHERE = 0;

const RUNNABLE = 0;
const BLOCKED = 1;
const FINISHED = 2;

/** Cells. The first four have cache lines of their own; all others are touched only by the side whose turn it is. */
const TURN = 0;
const SLEEPING = 32; // and 64: by side
const STATE = 96; // by side
const WAITS_ON = 98; // by side
const STEP = 100;
const ARMED = 101;
const ABORTED = 102;
const FAILURE = 103;
const NEXT = 104; // position of the next preemption in the schedule
const PREEMPTIONS = 105;
/** For the user: what is to be run, and a request to end. */
const JOB = 106;
const STOP = 107;
const TEXT_LENGTH = 108;
const SCHEDULE = 128;
const LOG = SCHEDULE + MAX_PREEMPTIONS;
const TEXT = LOG + MAX_STEPS;
const TEXT_WORDS = 512;
export const TURN_CELLS: number = TEXT + TEXT_WORDS;

/** Thrown out of a side whose run was given up. */
export class Aborted extends Error {}

/** `Atomics` as it was before a side's own was replaced. */
const { load, store, wait, notify } = Atomics;

export class Turns {
  readonly cells: Int32Array;
  readonly me: Side;
  readonly #other: Side;
  readonly #text: Uint8Array;

  /** @param cells `TURN_CELLS` cells of shared memory; the driver's side has the turn first */
  constructor(cells: Int32Array, me: Side) {
    this.cells = cells;
    this.me = me;
    this.#other = me === DRIVER ? DEVICE : DRIVER;
    this.#text = new Uint8Array(cells.buffer, cells.byteOffset + TEXT * 4, TEXT_WORDS * 4);
  }

  /** What the driver's side has asked for: an index in a list that both know; −1: to end. */
  get job(): number {
    return this.cells[STOP] !== 0 ? -1 : this.cells[JOB];
  }

  get steps(): number {
    return this.cells[STEP];
  }

  /** A value of `Failure`. */
  get failure(): number {
    return this.cells[FAILURE];
  }

  /** What went wrong, in words. */
  get failureText(): string {
    return new TextDecoder().decode(this.#text.slice(0, this.cells[TEXT_LENGTH]));
  }

  /** Entry `step` of the run's log. */
  logged(step: number): number {
    return this.cells[LOG + step];
  }

  /** Driver's side, before each run: sets the schedule, disarmed. */
  prepare(job: number, schedule: readonly number[]): void {
    const { cells } = this;
    if (schedule.length > MAX_PREEMPTIONS) throw new RangeError(`a schedule of ${schedule.length} preemptions`);
    cells.fill(0, STATE, JOB);
    cells[JOB] = job;
    cells[TEXT_LENGTH] = 0;
    cells[PREEMPTIONS] = schedule.length;
    for (let i = 0; i < schedule.length; i++) cells[SCHEDULE + i] = schedule[i];
  }

  /** From now on accesses are steps. */
  arm(): void {
    this.cells[ARMED] = 1;
  }

  get armed(): boolean {
    return this.cells[ARMED] !== 0;
  }

  /**
   * Before an access to shared memory: the one place where a side is preempted, whatever the access is made by.
   * @param location of the word, above 0; ANYWHERE: not known
   */
  before(location: number, write: boolean): void {
    const { cells } = this;
    if (cells[ARMED] === 0 || cells[ABORTED] !== 0) return;
    let step = cells[STEP];
    while (cells[NEXT] < cells[PREEMPTIONS] && cells[SCHEDULE + cells[NEXT]] <= step) {
      cells[NEXT]++;
      if (cells[STATE + this.#other] !== RUNNABLE) continue;
      this.#switch();
      step = cells[STEP];
    }
    if (step >= MAX_STEPS) {
      this.fail(Failure.endless, `no end after ${MAX_STEPS} steps`);
      throw new Aborted();
    }
    cells[LOG + step] =
      (location << LOG_SHIFT) |
      (write ? LOG_WRITE : 0) |
      (this.me === DEVICE ? LOG_DEVICE : 0) |
      (cells[STATE + this.#other] === RUNNABLE ? LOG_SWITCHABLE : 0);
    cells[STEP] = step + 1;
  }

  /** Sleeps until `wake(location)`; if nobody is left to call it, that is a lost wake-up. */
  block(location: number): void {
    const { cells, me } = this;
    cells[WAITS_ON + me] = location;
    cells[STATE + me] = BLOCKED;
    const other = cells[STATE + this.#other];
    if (other === RUNNABLE) {
      this.#switch();
      return;
    }
    cells[STATE + me] = RUNNABLE;
    this.fail(Failure.lostWakeUp, `${other === BLOCKED ? 'both sides sleep' : `the ${NAMES[me]} sleeps, the other side has ended`}`);
    throw new Aborted();
  }

  /** @returns how many sleepers it woke */
  wake(location: number): number {
    const { cells } = this;
    const other = this.#other;
    if (cells[STATE + other] !== BLOCKED || cells[WAITS_ON + other] !== location) return 0;
    cells[STATE + other] = RUNNABLE;
    return 1;
  }

  /** Ends the run as failed, both sides of it. The first failure counts. */
  fail(failure: number, text: string): void {
    const { cells } = this;
    if (cells[FAILURE] === Failure.none) {
      cells[FAILURE] = failure;
      cells[TEXT_LENGTH] = new TextEncoder().encodeInto(text, this.#text).written;
    }
    cells[ABORTED] = 1;
  }

  /** The end of this side's part of the run. The driver's side comes back when both have ended. */
  finish(): void {
    const { cells, me } = this;
    cells[STATE + me] = FINISHED;
    if (cells[STATE + this.#other] === BLOCKED) {
      cells[STATE + this.#other] = RUNNABLE;
      this.fail(Failure.lostWakeUp, `the ${NAMES[this.#other]} sleeps, the other side has ended`);
    }
    if (me === DRIVER) {
      if (cells[STATE + this.#other] === FINISHED) return;
      this.#give();
      this.awaitTurn();
    } else {
      this.#give();
    }
  }

  /** Driver's side, between runs: lets the device's side end. */
  stop(): void {
    this.cells[STOP] = 1;
    this.#give();
  }

  /** Sleeps at once: both threads are best off on one processor, where a handover takes 3 µs; who looks takes it from the other. */
  awaitTurn(): void {
    const { cells, me } = this;
    while (load(cells, TURN) !== me) {
      store(cells, SLEEPING + 32 * me, 1);
      wait(cells, TURN, this.#other);
      store(cells, SLEEPING + 32 * me, 0);
    }
  }

  #give(): void {
    const { cells } = this;
    store(cells, TURN, this.#other);
    if (load(cells, SLEEPING + 32 * this.#other) !== 0) notify(cells, TURN);
  }

  #switch(): void {
    this.#give();
    this.awaitTurn();
    if (this.cells[ABORTED] !== 0) throw new Aborted();
  }
}

const NAMES = ['driver', 'device'] as const;
