/** ringbuf.js: installed with a clone only, so it may be absent. */

/** As much of its RingBuffer as is used here. */
export interface RingBuffer {
  /** @returns elements taken over, all or fewer */
  push(elements: Uint32Array): number;
  /** @returns elements read, as many as there are and fit */
  pop(elements: Uint32Array): number;
}

interface RingBufferClass {
  new (memory: SharedArrayBuffer, type: Uint32ArrayConstructor): RingBuffer;
  getStorageForCapacity(capacity: number, type: Uint32ArrayConstructor): SharedArrayBuffer;
}

/** Shared memory for a ring of `words` u32. */
export async function ringBufferMemory(words: number): Promise<SharedArrayBuffer> {
  return (await load()).getStorageForCapacity(words, Uint32Array);
}

export async function openRingBuffer(memory: SharedArrayBuffer): Promise<RingBuffer> {
  return new (await load())(memory, Uint32Array);
}

async function load(): Promise<RingBufferClass> {
  // Not a literal: the package's declarations are no valid TypeScript.
  const name: string = 'ringbuf.js';
  const { RingBuffer } = (await import(name)) as { RingBuffer: RingBufferClass };
  return RingBuffer;
}
