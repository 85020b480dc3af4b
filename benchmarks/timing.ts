/** How the repetitions of a suite are run. */
export interface Timing {
  /** Timed repetitions of each scenario, interleaved. */
  readonly repetitions: number;
  readonly warmupMs: number;
  readonly warmupFrames: number;
  /** Length of the measured part at max rate, ms. */
  readonly measureMs: number;
  /** Length of the measured part at a fixed rate, frames. */
  readonly pacedFrames: number;
  /** Length of a verify repetition at max rate, ms, and at a fixed rate, frames. */
  readonly verifyMs: number;
  readonly verifyFrames: number;
  /** Disturbed repetitions are repeated, over the suite at most this part of all. */
  readonly maxRepeated: number;
  /** After this long no further round is begun and nothing is repeated, s; what is missing then is said. */
  readonly maxSeconds: number;
  /** Disturbances are counted frame by frame, not by repetition: this many undisturbed frames are wanted in all. 0: by repetition. */
  readonly undisturbedFrames: number;
  /** Time for the machine's limits, s. */
  readonly limitsSeconds: number;
}

export const QUICK: Timing = {
  repetitions: 2,
  warmupMs: 50,
  warmupFrames: 30,
  measureMs: 170,
  pacedFrames: 30,
  verifyMs: 60,
  verifyFrames: 20,
  maxRepeated: 0.5,
  maxSeconds: 11,
  undisturbedFrames: 0,
  limitsSeconds: 1.5,
};

export const DEFAULT: Timing = {
  repetitions: 3,
  warmupMs: 100,
  warmupFrames: 30,
  measureMs: 400,
  pacedFrames: 36,
  verifyMs: 120,
  verifyFrames: 20,
  maxRepeated: 0.5,
  maxSeconds: 75,
  undisturbedFrames: 0,
  limitsSeconds: 4,
};
