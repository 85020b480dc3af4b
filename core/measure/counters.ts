/** Named event counters of one thread, in shared memory so that the session can read them at the end. */
export const Counter = {
  kicks: 0,
  kicksSuppressed: 1,
  interrupts: 2,
  interruptsSuppressed: 3,
  commands: 4,
  errorResponses: 5,
  sleeps: 6,
  sleepNs: 7,
  spinNs: 8,
  spins: 9,
  fencesTimedOut: 10,
  superseded: 11,
  ringErrors: 12,
  unknownQueueKicks: 13,
  cursorErrors: 14,
  cursorUpdates: 15,
  cursorMoves: 16,
  imports: 17,
  importFallbacks: 18,
  framesPresented: 19,
  framesVerified: 20,
  framesTorn: 21,
  moveNotifies: 22,
  reattaches: 23,
  configChanges: 24,
  segmentsImported: 25,
  /** The latest vblank wake-up, ns after its time (a maximum, not a sum). */
  vblankLateMaxNs: 26,
  /** Vblank wake-ups more than 1 ms late. */
  vblankLate: 27,
  framesCrcChecked: 28,
  flushes: 29,
  /** Import work (CREATE_BLOB or ATTACH with import), ns. */
  importNs: 30,
  /** The slowest import, ns (a maximum). */
  importMaxNs: 31,
  /** Rings of the other side's doorbell that had to wake a sleeper (a system call). */
  wakeUps: 32,
  /** Rings that found it awake. */
  wakeUpsSuppressed: 33,
  /** Buffers that could not be moved when asked (pinned, or no room). */
  movesRefused: 34,
  /** Buffers moved between VRAM and system memory. */
  moves: 35,
  /** Frames shown from the guest's own pages (not from a copy of the host's): the witness beside the ledger. */
  framesImported: 36,
  /** Faults injected on purpose by this side. */
  faultsInjected: 37,
  /** Which: bit n for fault n of the machine's. A side that was started anew does not repeat them. */
  faultsFired: 38,
  /** Work that was found by the timed re-check alone: its notification went missing. */
  lostNotifications: 39,
  /** Flushes whose fence ended cancelled (the device was reset). */
  fencesCancelled: 40,
  /** Windows in which the clock and CLOCK_MONOTONIC did not go on alike. */
  clockSteps: 41,
  /** The guest's driver reset the device and set everything up again. */
  reinitialisations: 42,
  /** A host that found a driver of an earlier session, and refused it. */
  staleDrivers: 43,
  /** This side's thread was started anew in the place of one that had died. */
  restarts: 44,
  /** GET_EDID answered with an error: what a scanout without a display answers. Among `errorResponses`. */
  edidsRefused: 50,
  /** Heads that a config change turned on, off or to another size. */
  modeSets: 51,
  /** Modes, or new buffers for one, that this guest could not have. */
  modesRefused: 52,
  /** Resource ids taken by this guest's drivers. One that was started anew goes on from there. */
  resourceIds: 53,
  /** Of `framesImported`: those whose pages are a device's memory. */
  framesImportedFromDevice: 54,
} as const;
export const COUNTERS = 64;

export class Counters {
  readonly cells: Float64Array;

  static readonly bytes = COUNTERS * 8;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(COUNTERS * 8), byteOffset = 0) {
    this.cells = new Float64Array(buffer, byteOffset, COUNTERS);
  }

  add(counter: number, by: number): void {
    this.cells[counter] += by;
  }

  max(counter: number, value: number): void {
    if (value > this.cells[counter]) this.cells[counter] = value;
  }

  get(counter: number): number {
    return this.cells[counter];
  }
}
