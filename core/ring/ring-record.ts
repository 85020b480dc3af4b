const TWO_32 = 4294967296;

/** Cells of i32. */
const VALID = 0;
const DESCRIPTOR_LO = 1;
const DESCRIPTOR_HI = 2;
const SIZE = 3;
const USED = 4;
/** The position + 1 of the chain that is being used, its head, the bytes written to it, and the position after it. USED ends it. */
const IN_USE = 5;
const HEAD = 6;
const WRITTEN = 7;
const NEXT = 8;
/** The chain used last: its position (−1: there was none) and its head, with bit 16 set where anything was written to it. */
const LAST = 9;
const LAST_HEAD = 10;
/** The base that the front end has, u32: it gives it again to the next host. */
const GIVEN = 11;

/**
 * Where a packed queue stands, in memory that outlives who serves it: a split ring says that itself, but not what is being used. A position is a slot in bits
 * 0–14 and its wrap counter in bit 15. Each change is one store, in an order that leaves something true at any moment.
 */
export class RingRecord {
  static readonly words = 16;
  readonly #cells: Int32Array;
  readonly #at: number;

  /** @param at the first of `words` cells */
  constructor(cells: Int32Array, at: number) {
    this.#cells = cells;
    this.#at = at;
  }

  /**
   * From now on it is of this packed queue.
   * @param used where it stands, @param given the base that the front end has, which may be one from before
   */
  begin(descriptorAddress: number, size: number, used: number, given: number): void {
    // It goes on: all of it is true, and what was used last is still there. Nothing is taken back, even for a moment.
    if (this.isOf(descriptorAddress, size, given) && this.used === used) {
      this.#set(IN_USE, 0);
      return;
    }
    // Until it is whole again nothing is known: then the queue goes on at the base that the front end has, where it stands now.
    this.clear();
    this.#set(DESCRIPTOR_LO, descriptorAddress % TWO_32);
    this.#set(DESCRIPTOR_HI, Math.floor(descriptorAddress / TWO_32));
    this.#set(SIZE, size);
    this.#set(USED, used);
    this.#set(LAST, -1);
    this.#set(GIVEN, given);
    this.#set(VALID, 1);
  }

  /** From now on it is of a split queue, which says itself where it stands: here is only what is being used. */
  beginSplit(used: number): void {
    this.clear();
    this.#set(USED, used);
  }

  /** It is of no queue. */
  clear(): void {
    this.#set(VALID, 0);
    this.#set(IN_USE, 0);
  }

  /** The front end has been told where the queue stands: it gives that to the next host. */
  told(base: number): void {
    if (base >>> 16 === this.used) this.#set(GIVEN, base);
  }

  /** Whether it is of this packed queue, at whose start the front end had this base: with another one it was served elsewhere since. */
  isOf(descriptorAddress: number, size: number, given: number): boolean {
    const address = (this.#get(DESCRIPTOR_HI) >>> 0) * TWO_32 + (this.#get(DESCRIPTOR_LO) >>> 0);
    return this.#get(VALID) === 1 && address === descriptorAddress && this.#get(SIZE) === size && this.#get(GIVEN) >>> 0 === given;
  }

  /** The position of the chain that is used next. */
  get used(): number {
    return this.#get(USED) & 0xffff;
  }

  /** A chain is about to be used: the one at `used`. @param next the position after it */
  beginUse(head: number, written: number, next: number): void {
    this.#set(HEAD, head);
    this.#set(WRITTEN, written);
    this.#set(NEXT, next);
    this.#set(IN_USE, this.used + 1);
  }

  /** It was. */
  endUse(): void {
    this.#set(LAST_HEAD, this.#get(HEAD) | (this.#get(WRITTEN) !== 0 ? 0x10000 : 0));
    this.#set(LAST, this.#get(USED));
    this.#set(USED, this.#get(NEXT));
  }

  /** The chain that was being used when whoever wrote this ended; null: none was. */
  get inUse(): { readonly head: number; readonly written: number } | null {
    return this.#get(IN_USE) === this.used + 1 ? { head: this.#get(HEAD), written: this.#get(WRITTEN) } : null;
  }

  /** The chain that was used last; null: none was. */
  get last(): { readonly position: number; readonly head: number; readonly isWritten: boolean } | null {
    const position = this.#get(LAST);
    const head = this.#get(LAST_HEAD);
    return position < 0 ? null : { position: position & 0xffff, head: head & 0xffff, isWritten: head > 0xffff };
  }

  #get(cell: number): number {
    return Atomics.load(this.#cells, this.#at + cell);
  }

  #set(cell: number, value: number): void {
    Atomics.store(this.#cells, this.#at + cell, value);
  }
}
