import { MonotonicClock } from '../../core/measure/clock.ts';
import { FrameColumn, FrameLog } from '../../core/measure/frame-log.ts';
import { MAX_SCANOUTS, Response } from '../../core/protocol/constants.ts';
import { writeDisplayInfo } from '../../core/protocol/display-info.ts';
import { buildEdid } from '../../core/protocol/edid.ts';
import { Size } from '../../core/protocol/layout.ts';
import { writeEdid, writeResponseHeader } from '../../core/protocol/write-response.ts';
import { PeerError } from './peer-error.ts';

/** Requests of a GPU socket (QEMU docs/interop/vhost-user-gpu.rst). The back end sends them, in the machine's own byte order. */
export const GpuRequest = {
  GET_PROTOCOL_FEATURES: 1,
  SET_PROTOCOL_FEATURES: 2,
  GET_DISPLAY_INFO: 3,
  CURSOR_POS: 4,
  CURSOR_POS_HIDE: 5,
  CURSOR_UPDATE: 6,
  SCANOUT: 7,
  UPDATE: 8,
  DMABUF_SCANOUT: 9,
  DMABUF_UPDATE: 10,
  GET_EDID: 11,
} as const;

const HEADER = 12;
const REPLY = 4;
/** Bytes of UPDATE before its pixels: {scanout, x, y, width, height}. */
export const UPDATE_BYTES = 20;
/** The protocol feature GET_EDID. */
const PROTOCOL_EDID = 1;
/** Bytes of the payload; UPDATE's pixels follow it. */
const PAYLOADS: ReadonlyMap<number, number> = new Map([
  [GpuRequest.GET_PROTOCOL_FEATURES, 0],
  [GpuRequest.SET_PROTOCOL_FEATURES, 8],
  [GpuRequest.GET_DISPLAY_INFO, 0],
  [GpuRequest.CURSOR_POS, 12],
  [GpuRequest.CURSOR_POS_HIDE, 12],
  [GpuRequest.CURSOR_UPDATE, 20 + 64 * 64 * 4],
  [GpuRequest.SCANOUT, 12],
  [GpuRequest.UPDATE, UPDATE_BYTES],
  [GpuRequest.DMABUF_SCANOUT, 40],
  [GpuRequest.DMABUF_UPDATE, UPDATE_BYTES],
  [GpuRequest.GET_EDID, 4],
]);
/** x8r8g8b8: nobody keeps the highest byte. */
export const COLOUR = 0xffffff;

/** What a display at a GPU socket has seen. */
export const DisplayCount = {
  /** UPDATE messages. */
  updates: 0,
  /** Bytes of their pixels. */
  bytes: 1,
  scanouts: 2,
  cursors: 3,
  /** Updates whose rows are not all of one frame. */
  torn: 4,
  /** Updates of another frame than the one after the last; of these the numbers of a head's frames do not tell. */
  unordered: 5,
  /** Updates whose pixels were looked at. */
  verified: 6,
} as const;
export const DISPLAY_COUNTS = 7;

/** What the display is. */
export interface GpuDisplayTask {
  readonly heads: number;
  /** Pixels of each head, and of the largest update. */
  readonly width: number;
  readonly height: number;
  readonly refreshHz: number;
  /** Whether the first word of each row is looked at, which StampRenderer made the frame's number + 1. */
  readonly verify: boolean;
  /** DISPLAY_COUNTS doubles. */
  readonly counts: SharedArrayBuffer;
  /** Where it is noted when each stamped frame is there whole; null: nowhere. */
  readonly log: DisplayLog | null;
}

/** A frame log (core/measure) of which the display writes what the sink of a host of this process would. */
export interface DisplayLog {
  readonly buffer: SharedArrayBuffer;
  /** Rows a head. */
  readonly capacity: number;
  /** Of the log's times: CLOCK_MONOTONIC, ns. */
  readonly originNs: number;
}

/** How the bytes come and go. */
export interface GpuStream {
  /** Fills `into`. @returns false when it is to end: a stop, or nobody is there any more */
  read(into: Uint8Array): boolean;
  write(bytes: Uint8Array): void;
}

/** The front end's end of a GPU socket: answers what a back end asks of its displays and takes its pixels. */
export class GpuDisplay {
  readonly #stream: GpuStream;
  readonly #task: GpuDisplayTask;
  readonly #counts: Float64Array;
  readonly #header = new Uint32Array(HEADER / 4);
  readonly #payload = new Uint32Array((20 + 64 * 64 * 4) / 4);
  readonly #image: Uint32Array;
  readonly #lastFrame: Uint32Array;
  readonly #log: FrameLog | null;
  readonly #clock: MonotonicClock;

  constructor(stream: GpuStream, task: GpuDisplayTask) {
    this.#stream = stream;
    this.#task = task;
    this.#counts = new Float64Array(task.counts);
    this.#image = new Uint32Array(task.width * task.height);
    this.#lastFrame = new Uint32Array(task.heads);
    const { log } = task;
    this.#log = log === null ? null : new FrameLog(log.buffer, task.heads, log.capacity);
    this.#clock = new MonotonicClock(log?.originNs ?? 0);
  }

  /** Serves until the stream ends. @throws PeerError for what is no message */
  run(): void {
    while (this.#stream.read(bytesOf(this.#header)) && this.#serve(this.#header[0], this.#header[2]));
  }

  /** @returns false when the stream ended in the middle of a message */
  #serve(request: number, size: number): boolean {
    const bytes = PAYLOADS.get(request);
    if (bytes === undefined) throw new PeerError(`GPU socket: request ${request} is unknown`);
    if (size < bytes || (size !== bytes && request !== GpuRequest.UPDATE)) {
      throw new PeerError(`GPU socket: request ${request} has ${size} bytes, not ${bytes}`);
    }
    if (!this.#stream.read(bytesOf(this.#payload, bytes))) return false;
    const counts = this.#counts;
    switch (request) {
      case GpuRequest.GET_PROTOCOL_FEATURES:
        this.#reply(request, new Uint32Array([PROTOCOL_EDID, 0]));
        return true;
      case GpuRequest.GET_DISPLAY_INFO:
        this.#reply(request, this.#displayInfo());
        return true;
      case GpuRequest.GET_EDID:
        this.#reply(request, this.#edid(this.#payload[0]));
        return true;
      case GpuRequest.DMABUF_UPDATE:
        this.#reply(request, new Uint32Array(0));
        return true;
      case GpuRequest.SCANOUT:
        counts[DisplayCount.scanouts] += 1;
        return true;
      case GpuRequest.UPDATE:
        return this.#update(size - UPDATE_BYTES);
      case GpuRequest.CURSOR_POS:
      case GpuRequest.CURSOR_POS_HIDE:
      case GpuRequest.CURSOR_UPDATE:
        counts[DisplayCount.cursors] += 1;
        return true;
      default:
        return true;
    }
  }

  #update(bytes: number): boolean {
    const [scanout, , , width, height] = this.#payload;
    if (scanout >= this.#task.heads) throw new PeerError(`GPU socket: UPDATE of scanout ${scanout}, of ${this.#task.heads}`);
    if (bytes !== width * height * 4) throw new PeerError(`GPU socket: UPDATE of ${width}x${height} with ${bytes} bytes of pixels`);
    if (bytes > this.#image.byteLength) throw new PeerError(`GPU socket: UPDATE of ${width}x${height} is larger than the display`);
    if (!this.#stream.read(bytesOf(this.#image, bytes))) return false;
    const counts = this.#counts;
    if (bytes > 0) this.#shown(scanout);
    if (this.#task.verify && bytes > 0) this.#verify(scanout, width, height);
    counts[DisplayCount.bytes] += bytes;
    counts[DisplayCount.updates] += 1;
    return true;
  }

  /** The frame is told by its stamp. One of a guest that stamps nothing takes no row: it would be the number before 0. */
  #shown(scanout: number): void {
    const log = this.#log;
    const frame = (this.#image[0] & COLOUR) - 1;
    if (log === null || frame < 0) return;
    this.#clock.read();
    const row = log.row(scanout, frame);
    log.cells[row + FrameColumn.present] = this.#clock.slot[0];
    log.cells[row + FrameColumn.release] = this.#clock.slot[0];
  }

  #verify(scanout: number, width: number, height: number): void {
    const image = this.#image;
    const counts = this.#counts;
    const stamp = image[0] & COLOUR;
    let row = 1;
    while (row < height && (image[row * width] & COLOUR) === stamp) row++;
    if (row < height) counts[DisplayCount.torn] += 1;
    if (stamp !== ((this.#lastFrame[scanout] + 1) & COLOUR)) counts[DisplayCount.unordered] += 1;
    this.#lastFrame[scanout] = stamp;
    counts[DisplayCount.verified] += 1;
  }

  #reply(request: number, payload: Uint32Array): void {
    const words = new Uint32Array(HEADER / 4 + payload.length);
    words.set([request, REPLY, payload.byteLength]);
    words.set(payload, HEADER / 4);
    this.#stream.write(bytesOf(words));
  }

  #displayInfo(): Uint32Array {
    const { heads, width, height } = this.#task;
    const words = new Uint32Array(Size.respDisplayInfo / 4);
    writeResponseHeader(words, 0, Response.OK_DISPLAY_INFO, 0, 0, 0, 0, 0);
    const all = Array.from({ length: heads }, (_, i) => ({ x: i * width, y: 0, width, height, enabled: true }));
    writeDisplayInfo(words, 0, all);
    return words;
  }

  #edid(scanout: number): Uint32Array {
    const { width, height, refreshHz } = this.#task;
    const words = new Uint32Array(Size.respEdid / 4);
    writeResponseHeader(words, 0, Response.OK_EDID, 0, 0, 0, 0, 0);
    writeEdid(words, 0, buildEdid({ width, height, refreshHz, serial: Math.min(scanout, MAX_SCANOUTS) + 1 }));
    return words;
  }
}

const bytesOf = (words: Uint32Array, bytes: number = words.byteLength): Uint8Array => new Uint8Array(words.buffer, words.byteOffset, bytes);
