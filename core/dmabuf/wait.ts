/**
 * Injected waiting: lets the other side run until `done()`, or gives up; the caller looks again. It may be
 * called with a reservation held.
 */
export type Wait = (done: () => boolean) => void;

/** For a side that nobody has to wait for: whatever is not done by now never will be. */
export const NO_WAIT: Wait = () => {};
