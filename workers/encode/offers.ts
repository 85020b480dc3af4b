import { type EncodeShare, LinkWord, offeredWord, RECORDS, RecordState, RecordTime, RecordWord, recordAt, timesAt } from './link.ts';

/** The encode thread's side of the shared memory: takes frames that the host offers, and gives them back when they are read. */
export class Offers {
  /** Of the frame that was taken last. */
  head = 0;
  frame = 0;
  image = 0;
  /** By head: the time from which on its next frame may be taken, ns. */
  readonly notBefore: Float64Array;
  /** Earliest time at which a head that has a frame may be served, ns; Infinity: none has. As of the last `take`. */
  readonly due = new Float64Array(1);
  readonly #words: Int32Array;
  readonly #times: Float64Array;
  /** By head: of the records ever offered, those looked at. */
  readonly #looked: Int32Array;
  #slot = 0;

  constructor(share: EncodeShare) {
    this.#words = new Int32Array(share.words);
    this.#times = new Float64Array(share.times);
    this.#looked = new Int32Array(share.heads);
    this.notBefore = new Float64Array(share.heads);
  }

  get stopRequested(): boolean {
    return Atomics.load(this.#words, LinkWord.stop) !== 0;
  }

  /** Takes the oldest frame offered of the next head that has one, in turn. @returns false when none may be taken now */
  take(now: Float64Array): boolean {
    this.due[0] = Number.POSITIVE_INFINITY;
    const heads = this.#looked.length;
    const after = this.head + 1;
    for (let i = 0; i < heads; i++) {
      const head = (after + i) % heads;
      if (!this.#skipToOffered(head)) continue;
      if (this.notBefore[head] > now[0]) {
        if (this.notBefore[head] < this.due[0]) this.due[0] = this.notBefore[head];
        continue;
      }
      const slot = this.#looked[head] & (RECORDS - 1);
      const at = recordAt(head, slot);
      // Taken back by the host between the look and now: the next one is offered already, or will ring.
      if (Atomics.compareExchange(this.#words, at, RecordState.offered, RecordState.taken) !== RecordState.offered) continue;
      this.#looked[head] = (this.#looked[head] + 1) | 0;
      this.head = head;
      this.#slot = slot;
      this.frame = this.#words[at + RecordWord.frame];
      this.image = this.#words[at + RecordWord.image];
      this.#times[timesAt(head, slot) + RecordTime.taken] = now[0];
      return true;
    }
    return false;
  }

  /**
   * Has the head's next frame wait for its time, an interval after the one before was due to be taken. One that was taken late delays
   * none after it, or each would keep the longest delay ever; frames are half an interval apart all the same.
   */
  spaceNext(intervalNs: number, now: Float64Array): void {
    this.notBefore[this.head] = Math.max(this.notBefore[this.head] + intervalNs, now[0] + intervalNs / 2);
  }

  /** Whether the host wants the taken frame back unread. */
  get aborted(): boolean {
    return Atomics.load(this.#words, recordAt(this.head, this.#slot) + RecordWord.abort) !== 0;
  }

  /** Gives the taken frame back: its bytes are read no more. @param read whether all of them were */
  release(read: boolean, now: Float64Array): void {
    const words = this.#words;
    const at = recordAt(this.head, this.#slot);
    this.#times[timesAt(this.head, this.#slot) + RecordTime.released] = now[0];
    words[at + RecordWord.read] = read ? 1 : 0;
    Atomics.store(words, at, RecordState.done);
    Atomics.add(words, LinkWord.done, 1);
    if (Atomics.load(words, at + RecordWord.abort) !== 0) Atomics.notify(words, at);
  }

  /** Whether a key frame of any head is wanted. */
  get keysWanted(): boolean {
    return Atomics.load(this.#words, LinkWord.keys) !== 0;
  }

  /** Takes the wish for a key frame of a head. @returns whether there was one */
  takeKeyWish(head: number): boolean {
    const bit = 1 << head;
    return this.keysWanted && (Atomics.and(this.#words, LinkWord.keys, ~bit) & bit) !== 0;
  }

  /** No more frames will be taken. */
  end(): void {
    Atomics.store(this.#words, LinkWord.ended, 1);
  }

  /** @returns whether a frame of this head is offered; it is then the next to be taken */
  #skipToOffered(head: number): boolean {
    const words = this.#words;
    for (;;) {
      if (this.#looked[head] === Atomics.load(words, offeredWord(head))) return false;
      if (Atomics.load(words, recordAt(head, this.#looked[head] & (RECORDS - 1))) === RecordState.offered) return true;
      this.#looked[head] = (this.#looked[head] + 1) | 0;
    }
  }
}
