import { SessionWord } from '../core/machine/plan.ts';

/**
 * How a guest's life ends: by itself once its work is done, or by the supervisor because of a planned fault. Whoever says so
 * first decides, so that a guest that has stopped is never started anew, and one that is started anew never seems stopped.
 */
const End = { open: 0, stops: 1, killed: 2 } as const;

const claim = (cells: Int32Array, end: number): boolean => Atomics.compareExchange(cells, SessionWord.guestEnd, End.open, end) === End.open;

/** The guest's, before it says that it has stopped. @returns false when its thread is being ended instead */
export const claimStop = (cells: Int32Array): boolean => claim(cells, End.stops);

/** The supervisor's, before it ends the guest's thread. @returns false when the guest has stopped: the thread is the pool's again */
export const claimKill = (cells: Int32Array): boolean => claim(cells, End.killed);

export const hasStopped = (cells: Int32Array): boolean => Atomics.load(cells, SessionWord.guestEnd) === End.stops;

/** Before another guest takes a dead one's place: nothing is decided of it yet. */
export function beginLife(cells: Int32Array): void {
  Atomics.store(cells, SessionWord.guestEnd, End.open);
}
