import { FrameFlag } from '../../core/measure/frame-log.ts';
import type { MemoryRegion } from '../../core/memory/region.ts';
import type { ScanoutImage } from '../../core/sink/sink.ts';
import { type Libc, NativeError } from '../native/libc.ts';
import type { BackingFile } from '../native/mapping.ts';
import { POLLIN, POLLOUT } from '../native/poll.ts';
import { GpuRequest } from './gpu-socket.ts';
import { OutBytes } from './out-bytes.ts';
import type { SendingSink } from './sending-sink.ts';
import {
  BUFFER_WORDS,
  FILE_WORDS,
  FORGET_WORDS,
  HEADER_WORDS,
  MemoryRequest,
  MOST_SEGMENTS,
  REPLY,
  SEGMENT_WORDS,
  SHOWN_WORDS,
  SHOWS_MEMORY,
} from './shown-memory.ts';

/** Releases that one `pollReleases` reports. */
const RELEASES = 64;
/** Frames of one scanout that may be held or superseded before they are reported: those that the host has in the works. */
const MOST_FRAMES = 2048;
const NOBODY = -1;
/** Buffers that the display is told of at a time; the one longest known is forgotten for another. */
const MOST_BUFFERS = 64;
/** Bytes that wait for the display to read: all that may be known to it at a time, twice over. */
const MOST_WAITING = 2 * MOST_BUFFERS * MOST_SEGMENTS * SEGMENT_WORDS * 4;
const ANSWER_BYTES = (HEADER_WORDS + SHOWN_WORDS) * 4;
const FEATURES_BYTES = (HEADER_WORDS + 2) * 4;
const TWO_32 = 2 ** 32;
/** No frame. */
const NONE = -1;

/**
 * Lets a display in another process look at each frame where it lies: the files behind the guest's memory go to it once, and no
 * pixel is copied. A frame is held until the display has answered; of those that come meanwhile the latest of each scanout is kept.
 * Never waits.
 */
export class MemorySink implements SendingSink {
  readonly releasedScanout = new Int32Array(RELEASES);
  readonly releasedFrame = new Int32Array(RELEASES);
  readonly releasedFlags = new Int32Array(RELEASES);
  readonly presentedNs = new Float64Array(RELEASES);
  readonly releasedNs = new Float64Array(RELEASES);
  readonly vblank = new Float64Array(RELEASES);
  readonly deadline = new Float64Array(1).fill(Number.POSITIVE_INFINITY);
  fault: string | null = null;
  readonly #libc: Libc;
  readonly #fileOf: (region: MemoryRegion) => BackingFile | null;
  /** By scanout: what it shows, the frame that the display looks at, since when, and the one that waits. */
  readonly #current: (ScanoutImage | null)[];
  readonly #shown: Int32Array;
  readonly #shownBuffer: Int32Array;
  readonly #shownNs: Float64Array;
  readonly #waiting: Int32Array;
  readonly #waitingImage: (ScanoutImage | null)[];
  /** Buffers that the display knows, by their resource; the one told last is the last. */
  readonly #buffers = new Map<number, ScanoutImage['segments']>();
  readonly #files = new Map<MemoryRegion, number>();
  #nextFile = 1;
  #fd = NOBODY;
  /** Whether the display has said that it takes this. */
  #agreed = false;
  readonly #out: OutBytes;
  readonly #in = new Uint8Array(4096);
  readonly #inWords = new Uint32Array(this.#in.buffer);
  #inBytes = 0;
  /** Frames that are done: scanout, frame, flags; presented, released. */
  readonly #done: { readonly ints: Int32Array; readonly times: Float64Array };
  #doneCount = 0;

  /** @param fileOf the file behind a region of the guest's memory; null: it has none that may be passed on */
  constructor(libc: Libc, heads: number, fileOf: (region: MemoryRegion) => BackingFile | null) {
    this.#libc = libc;
    this.#fileOf = fileOf;
    this.#current = new Array<ScanoutImage | null>(heads).fill(null);
    this.#shown = new Int32Array(heads).fill(NONE);
    this.#shownBuffer = new Int32Array(heads);
    this.#shownNs = new Float64Array(heads);
    this.#waiting = new Int32Array(heads).fill(NONE);
    this.#waitingImage = new Array<ScanoutImage | null>(heads).fill(null);
    this.#done = { ints: new Int32Array(3 * MOST_FRAMES * heads), times: new Float64Array(2 * MOST_FRAMES * heads) };
    this.#out = new OutBytes(libc);
  }

  setSocket(fd: number): void {
    this.#releaseAll();
    this.#fd = fd;
    this.#agreed = false;
    this.#buffers.clear();
    this.#files.clear();
    this.#inBytes = 0;
    this.#out.begin(fd);
    if (fd === NOBODY) return;
    this.#out.words([GpuRequest.GET_PROTOCOL_FEATURES, 0, 0]);
    this.#send();
  }

  get pollFd(): number {
    return this.#fd;
  }

  get pollEvents(): number {
    return this.#out.isEmpty ? POLLIN : POLLIN | POLLOUT;
  }

  ready(now: Float64Array): void {
    this.#send();
    this.#receive(now);
  }

  setScanout(scanout: number, image: ScanoutImage | null): void {
    this.#current[scanout] = image;
  }

  present(scanout: number, frame: number, now: Float64Array): void {
    const before = this.#waiting[scanout];
    if (before !== NONE) this.#release(scanout, before, FrameFlag.superseded, 0, now[0]);
    if (this.#fd === NOBODY || this.#current[scanout] === null) {
      this.#waiting[scanout] = NONE;
      this.#release(scanout, frame, 0, now[0], now[0]);
      return;
    }
    this.#waiting[scanout] = frame;
    this.#waitingImage[scanout] = this.#current[scanout];
    this.#showNext(scanout, now);
  }

  pollReleases(_now: Float64Array): number {
    const { ints, times } = this.#done;
    const count = Math.min(this.#doneCount, RELEASES);
    // The latest first: no order is asked for, and none has to be moved.
    for (let i = 0; i < count; i++) {
      const at = --this.#doneCount;
      this.releasedScanout[i] = ints[3 * at];
      this.releasedFrame[i] = ints[3 * at + 1];
      this.releasedFlags[i] = ints[3 * at + 2];
      this.presentedNs[i] = times[2 * at];
      this.releasedNs[i] = times[2 * at + 1];
    }
    this.deadline[0] = this.#doneCount > 0 ? 0 : Number.POSITIVE_INFINITY;
    return count;
  }

  stop(resourceId: number): void {
    for (let scanout = 0; scanout < this.#current.length; scanout++) {
      if (this.#waiting[scanout] !== NONE && this.#waitingImage[scanout]?.resourceId === resourceId) {
        this.#release(scanout, this.#waiting[scanout], FrameFlag.superseded, 0, 0);
        this.#waiting[scanout] = NONE;
      }
      if (this.#shown[scanout] === NONE || this.#shownBuffer[scanout] !== resourceId) continue;
      this.#release(scanout, this.#shown[scanout], FrameFlag.superseded, 0, 0);
      this.#shown[scanout] = NONE;
    }
    this.#forget(resourceId);
  }

  holds(resourceId: number): boolean {
    for (let scanout = 0; scanout < this.#current.length; scanout++) {
      if (this.#shown[scanout] !== NONE && this.#shownBuffer[scanout] === resourceId) return true;
      if (this.#waiting[scanout] !== NONE && this.#waitingImage[scanout]?.resourceId === resourceId) return true;
    }
    return false;
  }

  /** Shows the frame that waits, if the display has looked at the one before. */
  #showNext(scanout: number, now: Float64Array): void {
    const frame = this.#waiting[scanout];
    const image = this.#waitingImage[scanout];
    if (frame === NONE || image === null || this.#shown[scanout] !== NONE || !this.#agreed) return;
    this.#waiting[scanout] = NONE;
    if (!this.#know(image)) {
      this.#release(scanout, frame, 0, 0, now[0]);
      return;
    }
    this.#shown[scanout] = frame;
    this.#shownBuffer[scanout] = image.resourceId;
    this.#shownNs[scanout] = now[0];
    this.#out.show(scanout, image.resourceId, frame);
    this.#send();
  }

  /** Tells the display where a buffer lies, once. @returns false where it lies in no file that can be passed on */
  #know(image: ScanoutImage): boolean {
    const { resourceId, segments, width, height, stride, offset } = image;
    if (this.#buffers.get(resourceId) === segments) return true;
    const words = [
      MemoryRequest.BUFFER,
      0,
      0,
      resourceId,
      width,
      height,
      stride,
      offset % TWO_32,
      Math.floor(offset / TWO_32),
      segments.count,
    ];
    for (let i = 0; i < segments.count; i++) {
      const region = segments.region[i];
      const file = this.#file(region);
      if (file === null) return false;
      const at = segments.offset[i];
      words.push(file, segments.bytes[i], at % TWO_32, Math.floor(at / TWO_32));
    }
    words[2] = (BUFFER_WORDS + segments.count * SEGMENT_WORDS) * 4;
    const [oldest] = this.#buffers.keys();
    if (this.#buffers.size >= MOST_BUFFERS && oldest !== undefined && !this.holds(oldest)) this.#forget(oldest);
    this.#buffers.set(resourceId, segments);
    this.#out.words(words);
    return true;
  }

  #file(region: MemoryRegion): number | null {
    const known = this.#files.get(region);
    if (known !== undefined) return known;
    const file = this.#fileOf(region);
    if (file === null) return null;
    // Its own: the region may leave before the display reads, and the descriptor's number be another file's.
    const fd = this.#duplicate(file.fd);
    if (fd < 0) return null;
    const id = this.#nextFile++;
    const { size } = region;
    const split = (value: number): [number, number] => [value % TWO_32, Math.floor(value / TWO_32)];
    this.#out.words([MemoryRequest.FILE, 0, FILE_WORDS * 4, id, ...split(size), ...split(file.offset)], fd);
    this.#files.set(region, id);
    return id;
  }

  /** @returns −1: there is no room for another one */
  #duplicate(fd: number): number {
    try {
      return this.#libc.duplicate(fd);
    } catch (error) {
      if (error instanceof NativeError) return -1;
      throw error;
    }
  }

  #forget(resourceId: number): void {
    if (!this.#buffers.delete(resourceId)) return;
    this.#out.words([MemoryRequest.FORGET, 0, FORGET_WORDS * 4, resourceId]);
    // What no buffer lies in is the guest's alone again.
    for (const [region, id] of this.#files) {
      let used = false;
      for (const segments of this.#buffers.values()) used ||= segments.region.includes(region);
      if (used) continue;
      this.#files.delete(region);
      this.#out.words([MemoryRequest.FORGET_FILE, 0, FORGET_WORDS * 4, id]);
    }
    this.#send();
  }

  #send(): void {
    if (!this.#out.send()) this.#end('the display is gone');
    else if (this.#out.waiting > MOST_WAITING) this.#end('the display does not read');
  }

  /** Takes what has come, once a wake: a display that answers without end keeps neither queues nor a stop waiting. */
  #receive(now: Float64Array): void {
    const got = this.#libc.recv(this.#fd, this.#inBytes === 0 ? this.#in : this.#in.subarray(this.#inBytes));
    // Nothing is there; or nobody, which sending tells.
    if (got < 0) return;
    if (got === 0) {
      this.#end('the display is gone');
      return;
    }
    this.#inBytes += got;
    this.#take(now);
  }

  /** Takes what has come whole. */
  #take(now: Float64Array): void {
    const words = this.#inWords;
    let at = 0;
    for (;;) {
      const bytes = this.#agreed ? ANSWER_BYTES : FEATURES_BYTES;
      if (this.#inBytes - at < bytes) break;
      const first = at / 4;
      at += bytes;
      if ((words[first + 1] & REPLY) === 0 || words[first + 2] !== bytes - HEADER_WORDS * 4) {
        this.#end('the display answers what was not asked');
        return;
      }
      if (!this.#agreed) {
        if ((words[first + 4] & SHOWS_MEMORY.hi) === 0) {
          this.#end("the display at the GPU socket does not look into the guest's memory: --sink socket sends it pixels");
          return;
        }
        this.#agreed = true;
        for (let scanout = 0; scanout < this.#current.length; scanout++) this.#showNext(scanout, now);
      } else {
        const scanout = words[first + HEADER_WORDS];
        const frame = words[first + HEADER_WORDS + 1];
        // One that was stopped meanwhile is nobody's any more.
        if (scanout < this.#shown.length && this.#shown[scanout] === (frame | 0)) {
          this.#shown[scanout] = NONE;
          this.#release(scanout, frame | 0, 0, this.#shownNs[scanout], now[0]);
          this.#showNext(scanout, now);
        }
      }
    }
    if (at > 0) {
      this.#in.copyWithin(0, at, this.#inBytes);
      this.#inBytes -= at;
    }
  }

  #end(why: string): void {
    this.fault = why;
    this.setSocket(NOBODY);
  }

  #releaseAll(): void {
    for (let scanout = 0; scanout < this.#current.length; scanout++) {
      for (const frame of [this.#shown[scanout], this.#waiting[scanout]])
        if (frame !== NONE) this.#release(scanout, frame, FrameFlag.superseded, 0, 0);
    }
    this.#shown.fill(NONE);
    this.#waiting.fill(NONE);
  }

  #release(scanout: number, frame: number, flags: number, presentedNs: number, releasedNs: number): void {
    const { ints, times } = this.#done;
    const at = this.#doneCount++;
    ints[3 * at] = scanout;
    ints[3 * at + 1] = frame;
    ints[3 * at + 2] = flags;
    times[2 * at] = presentedNs;
    times[2 * at + 1] = releasedNs;
    this.deadline[0] = 0;
  }
}
