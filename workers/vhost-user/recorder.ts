import { closeSync, openSync, writeFileSync } from 'node:fs';
import type { Clock } from '../../core/measure/clock.ts';
import { type Chain, readChain } from '../../core/ring/chain.ts';
import { formatHeader, formatRecord, type TraceHeader } from '../../core/trace/trace.ts';
import type { GuestMemory } from './guest-memory.ts';

/** Characters gathered between two writes. */
const WRITE_AT = 65536;
/** The most of a request that is recorded: 16384 memory entries and some (larger ones are refused by the device anyway). */
const MOST_REQUEST = 1024 * 1024;

/** Writes what a guest sends as a trace (core/trace), chain by chain as the device takes them. */
export class Recorder {
  readonly #fd: number;
  readonly #clock: Clock;
  readonly #memory: GuestMemory;
  readonly #started: number;
  #text = '';

  /** @throws when the file cannot be written */
  constructor(path: string, header: TraceHeader, clock: Clock, memory: GuestMemory) {
    this.#fd = openSync(path, 'w');
    this.#clock = clock;
    this.#memory = memory;
    clock.read();
    this.#started = clock.slot[0];
    this.#write(formatHeader(header));
  }

  /** Features that were agreed on, with vhost-user's own bit as it was. */
  features(lo: number, hi: number): void {
    this.#write(formatRecord({ kind: 'features', lo, hi }));
  }

  regions(): void {
    const regions = this.#memory.regions.map(({ gpa, size, kind }) => ({ gpa, size, kind })).sort((a, b) => a.gpa - b.gpa);
    this.#write(formatRecord({ kind: 'regions', regions }));
  }

  chain(queue: number, chain: Chain): void {
    const request = new Uint8Array(Math.min(chain.readableBytes, MOST_REQUEST));
    // RACE: the driver wrote it before it made the chain available; one that still writes gets what it wrote recorded.
    readChain(this.#memory.space, chain, 0, request, 0, request.length);
    const lengths = (from: number, to: number): number[] => Array.from(chain.length.subarray(from, to));
    this.#clock.read();
    const t = Math.round((this.#clock.slot[0] - this.#started) / 1000);
    const readable = lengths(0, chain.readableCount);
    if (request.length < chain.readableBytes) cut(readable, request.length);
    const writable = lengths(chain.readableCount, chain.count);
    this.#write(formatRecord({ kind: 'chain', t, queue: queue === 0 ? 0 : 1, indirect: chain.indirect, readable, writable, request }));
  }

  close(): void {
    try {
      this.#flush();
    } finally {
      closeSync(this.#fd);
    }
  }

  #write(text: string): void {
    this.#text += text;
    if (this.#text.length >= WRITE_AT) this.#flush();
  }

  #flush(): void {
    const text = this.#text;
    this.#text = '';
    // All of it, or it throws.
    if (text !== '') writeFileSync(this.#fd, text);
  }
}

/** Shortens lengths to a sum of `bytes`. */
function cut(lengths: number[], bytes: number): void {
  let left = bytes;
  for (let i = 0; i < lengths.length; i++) {
    lengths[i] = Math.min(lengths[i], left);
    left -= lengths[i];
  }
}
