import type { Resource } from './resources.ts';

/** How a flush is answered at its last release. */
export const FlushAnswer = {
  /** It was answered already, or the device was reset. */
  none: 0,
  /** `token` is a fence timeline entry. */
  fenced: 1,
  /** `token` is a chain head. */
  unfenced: 2,
} as const;

/** Frames of one head that may be in the works. */
const FRAMES = 2048;
const SLOTS = 4096;

/**
 * The flushes that a sink holds: each is one frame on every scanout that shows its resource, and is answered
 * when the last of these is released.
 */
export class Flushes {
  readonly resource: (Resource | null)[] = new Array<Resource | null>(SLOTS).fill(null);
  readonly answer = new Uint8Array(SLOTS);
  readonly token = new Int32Array(SLOTS);
  readonly #remaining = new Int32Array(SLOTS);
  readonly #free = new Int32Array(SLOTS);
  #freeCount = SLOTS;
  /** Slot + 1 of a head's frame, by its low bits. */
  readonly #byFrame: Int32Array;

  constructor(heads: number) {
    this.#byFrame = new Int32Array(heads * FRAMES);
    for (let i = 0; i < SLOTS; i++) this.#free[i] = SLOTS - 1 - i;
  }

  /** Whether a flush on `head` with this frame number can be taken. */
  hasRoom(head: number, frame: number): boolean {
    return this.#freeCount > 0 && this.#byFrame[head * FRAMES + (frame & (FRAMES - 1))] === 0;
  }

  open(resource: Resource): number {
    const slot = this.#free[--this.#freeCount];
    this.resource[slot] = resource;
    this.answer[slot] = FlushAnswer.none;
    this.#remaining[slot] = 0;
    return slot;
  }

  addFrame(slot: number, head: number, frame: number): void {
    this.#byFrame[head * FRAMES + (frame & (FRAMES - 1))] = slot + 1;
    this.#remaining[slot]++;
  }

  /** The slot of a released frame, -1 if there is none. The frame is forgotten. */
  take(head: number, frame: number): number {
    const at = head * FRAMES + (frame & (FRAMES - 1));
    const slot = this.#byFrame[at] - 1;
    this.#byFrame[at] = 0;
    return slot;
  }

  /** Counts a frame of the slot as released. @returns true when it was the last one: answer it, then `close` */
  countDown(slot: number): boolean {
    return --this.#remaining[slot] === 0;
  }

  close(slot: number): void {
    this.resource[slot] = null;
    this.#free[this.#freeCount++] = slot;
  }

  clear(): void {
    this.#byFrame.fill(0);
    this.resource.fill(null);
    for (let i = 0; i < SLOTS; i++) this.#free[i] = SLOTS - 1 - i;
    this.#freeCount = SLOTS;
  }
}
