import { MonotonicClock } from '../../core/measure/clock.ts';
import { MemoryRegion } from '../../core/memory/region.ts';
import { RowTable } from '../../core/memory/row-table.ts';
import { SegmentList } from '../../core/memory/segments.ts';
import { type Libc, NativeError } from '../native/libc.ts';
import { FileMappings } from '../native/mapping.ts';
import { FdSocket } from '../native/socket.ts';
import { COLOUR, DISPLAY_COUNTS, DisplayCount, GpuRequest } from './gpu-socket.ts';
import { PeerError } from './peer-error.ts';
import {
  BUFFER_WORDS,
  FILE_WORDS,
  FORGET_WORDS,
  HEADER_WORDS,
  MemoryRequest,
  MOST_SEGMENTS,
  REPLY,
  SEGMENT_WORDS,
  SHOW_WORDS,
  SHOWN_WORDS,
  SHOWS_MEMORY,
} from './shown-memory.ts';

/** The longest message. */
const MOST_BYTES = (HEADER_WORDS + BUFFER_WORDS + MOST_SEGMENTS * SEGMENT_WORDS) * 4;
const TWO_32 = 2 ** 32;
const MOST_FILES = 64;
const MOST_RECEIVED = 65536;

export interface MemoryDisplayOptions {
  readonly heads: number;
  /** Whether the first word of each row is looked at; otherwise that of the first row alone. */
  readonly verify: boolean;
  /** Frames of a head, the last ones, of which the time is kept: a power of two. */
  readonly capacity: number;
  /** Of the times: CLOCK_MONOTONIC, ns. */
  readonly originNs: number;
}

interface Buffer {
  readonly table: RowTable;
  readonly files: readonly number[];
}

/** The end of a GPU socket that looks at each frame in the guest's memory, where the back end says that it lies. */
export class MemoryDisplay {
  readonly counts = new Float64Array(DISPLAY_COUNTS);
  /** {frame's number + 1, when it was looked at, ns} of each head's last frames. */
  readonly times: Float64Array;
  readonly #libc: Libc;
  readonly #socket: FdSocket;
  readonly #options: MemoryDisplayOptions;
  readonly #mappings: FileMappings;
  readonly #clock: MonotonicClock;
  readonly #bytes = new Uint8Array(2 * MOST_BYTES);
  readonly #words = new Uint32Array(this.#bytes.buffer);
  #filled = 0;
  #fds: number[] = [];
  readonly #files = new Map<number, MemoryRegion>();
  readonly #buffers = new Map<number, Buffer>();
  readonly #lastFrame: Uint32Array;
  readonly #answer = new Uint32Array(HEADER_WORDS + SHOWN_WORDS);
  readonly #answerBytes = new Uint8Array(this.#answer.buffer);

  constructor(libc: Libc, fd: number, options: MemoryDisplayOptions) {
    this.#libc = libc;
    this.#socket = new FdSocket(libc, fd, MOST_RECEIVED);
    this.#options = options;
    this.#mappings = new FileMappings(libc);
    this.#clock = new MonotonicClock(options.originNs);
    this.#lastFrame = new Uint32Array(options.heads);
    this.times = new Float64Array(2 * options.capacity * options.heads);
    this.#answer.set([MemoryRequest.SHOW, REPLY, SHOWN_WORDS * 4]);
  }

  /** Serves until the back end is gone. @throws PeerError for what is no message */
  run(): void {
    try {
      while (this.serve());
    } finally {
      this.#socket.closeAll(this.#fds);
      for (const id of [...this.#files.keys()]) this.#forgetFile(id);
    }
  }

  /** Waits for the next messages and carries them out. @returns false: the back end is gone @throws PeerError as `run` */
  serve(): boolean {
    const got = this.#receive();
    if (got > 0) {
      this.#filled += got;
      this.#take();
    }
    return got !== 0;
  }

  #receive(): number {
    try {
      return this.#socket.receive(this.#bytes, this.#filled, this.#bytes.length - this.#filled, this.#fds, true);
    } catch (error) {
      if (error instanceof NativeError) throw new PeerError(`GPU socket: ${error.message}`);
      throw error;
    }
  }

  #take(): void {
    const words = this.#words;
    let at = 0;
    while (this.#filled - at >= HEADER_WORDS * 4) {
      const first = at / 4;
      const request = words[first];
      const size = words[first + 2];
      if (size % 4 !== 0 || size > MOST_BYTES - HEADER_WORDS * 4) throw new PeerError(`GPU socket: request ${request} has ${size} bytes`);
      if (this.#filled - at < HEADER_WORDS * 4 + size) break;
      this.#serve(request, first + HEADER_WORDS, size / 4);
      at += HEADER_WORDS * 4 + size;
    }
    if (at === 0) return;
    this.#bytes.copyWithin(0, at, this.#filled);
    this.#filled -= at;
  }

  #serve(request: number, at: number, count: number): void {
    const words = this.#words;
    switch (request) {
      case MemoryRequest.SHOW:
        this.#expect(request, count, SHOW_WORDS);
        this.#show(words[at], words[at + 1], words[at + 2]);
        return;
      case GpuRequest.GET_PROTOCOL_FEATURES:
        this.#expect(request, count, 0);
        this.#send(new Uint32Array([request, REPLY, 8, SHOWS_MEMORY.lo, SHOWS_MEMORY.hi]));
        return;
      case MemoryRequest.FILE:
        this.#expect(request, count, FILE_WORDS);
        this.#file(words[at], words[at + 1] + words[at + 2] * TWO_32, words[at + 3] + words[at + 4] * TWO_32);
        return;
      case MemoryRequest.BUFFER:
        if (count < BUFFER_WORDS) throw new PeerError(`GPU socket: a buffer of ${count} words`);
        this.#expect(request, count, BUFFER_WORDS + words[at + 6] * SEGMENT_WORDS);
        this.#buffer(at);
        return;
      case MemoryRequest.FORGET:
        this.#expect(request, count, FORGET_WORDS);
        this.#buffers.delete(words[at]);
        return;
      case MemoryRequest.FORGET_FILE:
        this.#expect(request, count, FORGET_WORDS);
        this.#forgetFile(words[at]);
        return;
      default:
        throw new PeerError(`GPU socket: request ${request} is none of a frame in the guest's memory`);
    }
  }

  #expect(request: number, count: number, words: number): void {
    if (count !== words) throw new PeerError(`GPU socket: request ${request} has ${count * 4} bytes, not ${words * 4}`);
  }

  #file(id: number, size: number, offset: number): void {
    const fd = this.#fds.shift();
    if (fd === undefined) throw new PeerError('GPU socket: a file came without its descriptor');
    try {
      if (this.#files.size >= MOST_FILES || this.#files.has(id)) throw new PeerError(`GPU socket: file ${id} is one too many`);
      const memory = this.#mappings.map(fd, offset, size);
      this.#files.set(id, new MemoryRegion({ id, name: `file-${id}`, kind: 'ram', gpa: 0, size, device: null, bar: null, memory }));
    } catch (error) {
      throw error instanceof NativeError ? new PeerError(`GPU socket: file ${id}: ${error.message}`) : error;
    } finally {
      this.#libc.close(fd);
    }
  }

  #forgetFile(id: number): void {
    const region = this.#files.get(id);
    if (region === undefined) return;
    this.#files.delete(id);
    for (const [buffer, { files }] of this.#buffers) if (files.includes(id)) this.#buffers.delete(buffer);
    this.#mappings.unmap(region.memory, region.size);
  }

  #buffer(at: number): void {
    const words = this.#words;
    const [id, , height, stride, offsetLo, offsetHi, count] = words.subarray(at, at + BUFFER_WORDS);
    const segments = new SegmentList(count);
    const files = new Set<number>();
    for (let i = 0; i < count; i++) {
      const [file, bytes, lo, hi] = words.subarray(at + BUFFER_WORDS + i * SEGMENT_WORDS, at + BUFFER_WORDS + (i + 1) * SEGMENT_WORDS);
      const region = this.#files.get(file);
      const from = lo + hi * TWO_32;
      if (region === undefined || from + bytes > region.size) throw new PeerError(`GPU socket: buffer ${id} does not lie in file ${file}`);
      segments.append(region, from, bytes);
      files.add(file);
    }
    const table = new RowTable();
    try {
      table.build(segments, offsetLo + offsetHi * TWO_32, stride, height);
    } catch (error) {
      throw error instanceof RangeError ? new PeerError(`GPU socket: buffer ${id}: ${error.message}`) : error;
    }
    this.#buffers.set(id, { table, files: [...files] });
  }

  #show(scanout: number, buffer: number, frame: number): void {
    const shown = this.#buffers.get(buffer);
    if (scanout >= this.#options.heads) throw new PeerError(`GPU socket: scanout ${scanout}, of ${this.#options.heads}`);
    if (shown === undefined) throw new PeerError(`GPU socket: buffer ${buffer} is unknown`);
    this.#look(scanout, shown.table);
    this.#answer[HEADER_WORDS] = scanout;
    this.#answer[HEADER_WORDS + 1] = frame;
    const sent = this.#libc.send(this.#socket.fd, this.#answerBytes);
    // An answer is little: an other end that takes none does not read.
    if (sent !== this.#answerBytes.length && sent !== 'EPIPE' && sent !== 'ECONNRESET')
      throw new PeerError('GPU socket: an answer is not taken');
  }

  /** RACE: the guest wrote the pixels before its FLUSH, which the back end has taken from the ring; it writes them again after the answer. */
  #look(scanout: number, { rows, word, view, views }: RowTable): void {
    const { counts } = this;
    const { capacity, verify } = this.#options;
    const stamp = rows === 0 ? 0 : views[view[0]][word[0]] & COLOUR;
    this.#clock.read();
    const at = 2 * (scanout * capacity + ((stamp - 1) & (capacity - 1)));
    this.times[at] = stamp;
    this.times[at + 1] = this.#clock.slot[0];
    counts[DisplayCount.updates] += 1;
    if (!verify) return;
    let row = 1;
    while (row < rows && (views[view[row]][word[row]] & COLOUR) === stamp) row++;
    if (row < rows) counts[DisplayCount.torn] += 1;
    if (stamp !== ((this.#lastFrame[scanout] + 1) & COLOUR)) counts[DisplayCount.unordered] += 1;
    this.#lastFrame[scanout] = stamp;
    counts[DisplayCount.verified] += 1;
  }

  #send(message: Uint32Array): void {
    const bytes = new Uint8Array(message.buffer);
    if (this.#libc.send(this.#socket.fd, bytes) !== bytes.length) throw new PeerError('GPU socket: an answer is not taken');
  }
}
