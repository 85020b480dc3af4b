import { closeSync, fstatSync, ftruncateSync, openSync, readSync } from 'node:fs';
import { PAGE_SIZE } from '../../core/memory/address.ts';
import type { AddressSpace } from '../../core/memory/address-space.ts';
import { packedGoesOn } from '../../core/ring/packed/go-on.ts';
import { QUEUES } from '../../core/ring/registers.ts';
import { RingRecord } from '../../core/ring/ring-record.ts';
import type { Libc } from '../native/libc.ts';
import type { FileMappings } from '../native/mapping.ts';

/** Of this file's form. */
const MAGIC = 0x52494e31;
const MAGIC_AT = 0;
const FIRST_RECORD = 16;
/** A host that ends its session, or is being killed, gives its lock back soon. */
const LOCK_MS = 1000;
const LOCK_STEP_MS = 5;

/** Where packed rings stand, in a file that is mapped: written as memory is, kept when this process is killed. */
export class KeptRings {
  readonly records: readonly RingRecord[];
  readonly #mappings: FileMappings;
  readonly #memory: WebAssembly.Memory;
  /** Open and locked as long as this is in use: two hosts would write over each other. */
  readonly #fd: number;
  /** Queues that were not started since this was opened: of those another process knew where they stand. */
  readonly #unknown = new Set(Array.from({ length: QUEUES }, (_, queue) => queue));

  /** @throws when the file cannot be written, is another one, or is another host's */
  constructor(path: string, mappings: FileMappings, libc: Pick<Libc, 'lock'>) {
    this.#mappings = mappings;
    this.#fd = openSync(path, 'a+', 0o600);
    try {
      if (!isKept(this.#fd)) throw new Error(`${path}: it is no state of a host; delete it`);
      if (!takesLock(libc, this.#fd)) throw new Error(`${path}: another host keeps its state there; name another file`);
      ftruncateSync(this.#fd, PAGE_SIZE);
      this.#memory = mappings.map(this.#fd, 0, PAGE_SIZE, true);
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
    const cells = new Int32Array(this.#memory.buffer, 0, PAGE_SIZE / 4);
    this.records = Array.from({ length: QUEUES }, (_, queue) => new RingRecord(cells, FIRST_RECORD + queue * RingRecord.words));
    if (cells[MAGIC_AT] === MAGIC) return;
    for (const record of this.records) record.clear();
    cells[MAGIC_AT] = MAGIC;
  }

  /**
   * Where a packed queue goes on that is started for the first time here.
   * @param given the base that the front end gives
   * @returns null: nobody before knew it, or it is a new driver's, or was served elsewhere since
   */
  goesOn(space: AddressSpace, queue: number, descriptorAddress: number, size: number, given: number): number | null {
    if (!this.#unknown.delete(queue)) return null;
    return packedGoesOn(space, this.records[queue], descriptorAddress, size, given);
  }

  /** Where a queue stands that starts at `base`, if the chain there is one that a host before this was just using; null: it is not. */
  comesAgain(queue: number, base: number): number | null {
    const { inUse, used } = this.records[queue];
    return inUse !== null && used === (base & 0xffff) ? used : null;
  }

  close(): void {
    this.#mappings.unmap(this.#memory, PAGE_SIZE);
    closeSync(this.#fd);
  }
}

/** @returns false: another has it, and keeps it */
function takesLock(libc: Pick<Libc, 'lock'>, fd: number): boolean {
  const never = new Int32Array(new SharedArrayBuffer(4));
  for (let waited = 0; waited < LOCK_MS; waited += LOCK_STEP_MS) {
    if (libc.lock(fd)) return true;
    Atomics.wait(never, 0, 0, LOCK_STEP_MS);
  }
  return libc.lock(fd);
}

/** Whether a file is one of these, or one that was just made: a host may be killed between any two steps of that. */
function isKept(fd: number): boolean {
  const file = fstatSync(fd);
  if (!file.isFile()) return false;
  if (file.size === 0) return true;
  const words = new Int32Array(PAGE_SIZE / 4);
  if (file.size !== PAGE_SIZE || readSync(fd, words, 0, PAGE_SIZE, 0) !== PAGE_SIZE) return false;
  return words[MAGIC_AT] === MAGIC || words.every((word) => word === 0);
}
