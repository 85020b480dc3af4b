import { FrameFlag } from '../../core/measure/frame-log.ts';
import { CopyStage, type Ledger } from '../../core/memory/ledger.ts';
import type { MemoryRegion } from '../../core/memory/region.ts';
import type { ScanoutImage } from '../../core/sink/sink.ts';
import { type Libc, MSG_DONTWAIT, MSG_NOSIGNAL } from '../native/libc.ts';
import { POLLOUT } from '../native/poll.ts';
import { GpuRequest, UPDATE_BYTES } from './gpu-socket.ts';
import type { SendingSink } from './sending-sink.ts';

/** struct msghdr and struct iovec of 64-bit Linux. */
const MSGHDR = 56;
const IOVEC = 16;
/** Pieces of one send: a socket's buffer holds less than as many rows. */
const PIECES = 64;
const HEADER = 12;
const SCANOUT_BYTES = 12;
/** An UPDATE up to its pixels. */
const PROLOGUE = HEADER + UPDATE_BYTES;
/** Zeros, for the rest of a message whose buffer is gone. */
const FILLER = 65536;
const BYTES_A_PIXEL = 4;
/** Releases that one `pollReleases` reports. */
const RELEASES = 64;
const NOBODY = -1;
/** Less of it and each frame takes more wake-ups, more and nothing is gained (1080p and 4K). */
const SEND_BUFFER = 1 << 20;

interface Frame {
  readonly scanout: number;
  readonly number: number;
  readonly image: ScanoutImage;
}

/** A message on its way. */
interface Message {
  /** Header and fixed part. */
  readonly words: readonly number[];
  readonly bytes: number;
  /** Whose pixels follow; null: there are none, or their buffer is gone. */
  frame: Frame | null;
  sent: number;
  /** When it began, ns. */
  readonly startedNs: number;
}

/**
 * Sends each frame whole through a GPU socket, as QEMU's vhost-user-gpu does (docs/interop/vhost-user-gpu.rst: SCANOUT, UPDATE with
 * its pixels). The kernel copies the pixels from where they lie, which is charged to the ledger as an upload; nothing is
 * copied before. Never waits: what the socket does not take goes on when it can be written to (`pollFd`, `ready`). A frame
 * is held until its last byte is taken; of those that come meanwhile the latest of each scanout is kept.
 */
export class SocketSink implements SendingSink {
  readonly fault = null;
  readonly pollEvents = POLLOUT;
  readonly releasedScanout = new Int32Array(RELEASES);
  readonly releasedFrame = new Int32Array(RELEASES);
  readonly releasedFlags = new Int32Array(RELEASES);
  readonly presentedNs = new Float64Array(RELEASES);
  readonly releasedNs = new Float64Array(RELEASES);
  readonly vblank = new Float64Array(RELEASES);
  readonly deadline = new Float64Array(1).fill(Number.POSITIVE_INFINITY);
  readonly #libc: Libc;
  readonly #ledger: Ledger;
  /** By scanout: what it shows, and the frame that waits to be sent. */
  readonly #current: (ScanoutImage | null)[];
  readonly #waiting: (Frame | null)[];
  /** Scanouts whose size the other end has not been told. */
  readonly #untold = new Set<number>();
  readonly #done: { readonly frame: Frame; readonly flags: number; readonly presentedNs: number }[] = [];
  #message: Message | null = null;
  #fd = NOBODY;
  // Shared memory does not move: addresses in it may be kept.
  readonly #arena = new Uint8Array(new SharedArrayBuffer(MSGHDR + PIECES * IOVEC + PROLOGUE + FILLER));
  readonly #view = new DataView(this.#arena.buffer);
  readonly #base: bigint;
  readonly #addresses = new WeakMap<MemoryRegion, bigint>();

  constructor(libc: Libc, heads: number, ledger: Ledger) {
    this.#libc = libc;
    this.#ledger = ledger;
    this.#current = new Array<ScanoutImage | null>(heads).fill(null);
    this.#waiting = new Array<Frame | null>(heads).fill(null);
    this.#base = libc.addressOf(this.#arena);
  }

  setSocket(fd: number): void {
    this.#fd = fd;
    if (fd >= 0) this.#libc.sendBuffer(fd, SEND_BUFFER);
    if (this.#message?.frame) this.#release(this.#message.frame, FrameFlag.superseded, 0);
    this.#message = null;
    this.#untold.clear();
    for (const [scanout, image] of this.#current.entries()) if (image !== null) this.#untold.add(scanout);
    this.deadline[0] = 0;
  }

  /** While a message waits to be written. */
  get pollFd(): number {
    return this.#message === null ? NOBODY : this.#fd;
  }

  ready(now: Float64Array): void {
    while (this.#next(now) && this.#send());
  }

  setScanout(scanout: number, image: ScanoutImage | null): void {
    const before = this.#current[scanout];
    this.#current[scanout] = image;
    if (before?.width !== image?.width || before?.height !== image?.height) this.#untold.add(scanout);
    this.deadline[0] = 0;
  }

  present(scanout: number, frame: number, now: Float64Array): void {
    const before = this.#waiting[scanout];
    if (before !== null) this.#release(before, FrameFlag.superseded, 0);
    const image = this.#current[scanout];
    this.#waiting[scanout] = image === null ? null : { scanout, number: frame, image };
    this.deadline[0] = 0;
    // Begun at once: a guest that is quick would else have its next frame take this one's place before the host comes to send.
    while (this.#next(now) && this.#send());
  }

  pollReleases(now: Float64Array): number {
    while (this.#next(now) && this.#send());
    const count = Math.min(this.#done.length, RELEASES);
    for (let i = 0; i < count; i++) {
      const { frame, flags, presentedNs } = this.#done[i];
      this.releasedScanout[i] = frame.scanout;
      this.releasedFrame[i] = frame.number;
      this.releasedFlags[i] = flags;
      this.presentedNs[i] = presentedNs;
      this.releasedNs[i] = now[0];
    }
    this.#done.splice(0, count);
    this.deadline[0] = this.#done.length > 0 ? 0 : Number.POSITIVE_INFINITY;
    return count;
  }

  /** A message cannot end in its middle: the rest of one whose buffer goes is zeros. */
  stop(resourceId: number): void {
    for (const [scanout, frame] of this.#waiting.entries()) {
      if (frame?.image.resourceId !== resourceId) continue;
      this.#release(frame, FrameFlag.superseded, 0);
      this.#waiting[scanout] = null;
    }
    const frame = this.#message?.frame;
    if (this.#message === null || frame?.image.resourceId !== resourceId) return;
    this.#release(frame, FrameFlag.superseded, 0);
    this.#message.frame = null;
  }

  holds(resourceId: number): boolean {
    return this.#message?.frame?.image.resourceId === resourceId || this.#waiting.some((frame) => frame?.image.resourceId === resourceId);
  }

  #release(frame: Frame, flags: number, presentedNs: number): void {
    this.#done.push({ frame, flags, presentedNs });
    this.deadline[0] = 0;
  }

  /** Chooses what is sent, unless something is on its way. @returns false when there is nothing */
  #next(now: Float64Array): boolean {
    if (this.#message !== null) return true;
    for (const scanout of this.#fd === NOBODY ? [] : this.#untold) {
      this.#untold.delete(scanout);
      const { width = 0, height = 0 } = this.#current[scanout] ?? {};
      const words = [GpuRequest.SCANOUT, 0, SCANOUT_BYTES, scanout, width, height];
      this.#message = { words, bytes: HEADER + SCANOUT_BYTES, frame: null, sent: 0, startedNs: now[0] };
      return true;
    }
    const scanout = this.#waiting.findIndex((frame) => frame !== null);
    const frame = this.#waiting[scanout] ?? null;
    if (frame === null) return false;
    this.#waiting[scanout] = null;
    const { width, height, stride, offset, segments } = frame.image;
    const row = width * BYTES_A_PIXEL;
    if (this.#fd === NOBODY || offset + (height - 1) * stride + row > segments.length) {
      this.#release(frame, 0, now[0]);
      return this.#next(now);
    }
    const words = [GpuRequest.UPDATE, 0, UPDATE_BYTES + row * height, scanout, 0, 0, width, height];
    this.#message = { words, bytes: PROLOGUE + row * height, frame, sent: 0, startedNs: now[0] };
    return true;
  }

  /** Sends on. @returns whether all of the message is taken, or there is nobody to take it */
  #send(): boolean {
    for (;;) {
      const message = this.#message;
      if (message === null) return true;
      const sent = this.#libc.sendmsg(this.#fd, this.#pieces(message), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent === 'EAGAIN' || sent === 'EINTR') return false;
      if (typeof sent === 'string') {
        this.setSocket(NOBODY);
        return true;
      }
      message.sent += sent;
      if (message.sent < message.bytes) continue;
      this.#message = null;
      if (message.frame === null) return true;
      this.#ledger.charge(CopyStage.upload, message.bytes - PROLOGUE);
      this.#release(message.frame, 0, message.startedNs);
      return true;
    }
  }

  /** struct msghdr of what is left of a message, with the pieces where its bytes lie. */
  #pieces({ words, bytes, frame, sent }: Message): Uint8Array {
    const view = this.#view;
    const fixedAt = MSGHDR + PIECES * IOVEC;
    const fixed = words.length * 4;
    let pieces = 0;
    let at = sent;
    const add = (address: bigint, length: number): void => {
      view.setBigUint64(MSGHDR + pieces * IOVEC, address, true);
      view.setBigUint64(MSGHDR + pieces * IOVEC + 8, BigInt(length), true);
      pieces++;
      at += length;
    };
    for (const [i, word] of words.entries()) view.setUint32(fixedAt + 4 * i, word, true);
    if (at < fixed) add(this.#base + BigInt(fixedAt + at), fixed - at);
    while (at < bytes && pieces < PIECES) {
      if (frame === null) {
        add(this.#base + BigInt(fixedAt + PROLOGUE), Math.min(FILLER, bytes - at));
        continue;
      }
      const { width, stride, offset, segments } = frame.image;
      const row = width * BYTES_A_PIXEL;
      const pixel = at - fixed;
      const source = offset + Math.floor(pixel / row) * stride + (pixel % row);
      const i = segments.find(source);
      const skipped = source - segments.start[i];
      const run = stride === row ? bytes - at : row - (pixel % row);
      add(this.#address(segments.region[i]) + BigInt(segments.offset[i] + skipped), Math.min(run, segments.bytes[i] - skipped));
    }
    view.setBigUint64(16, this.#base + BigInt(MSGHDR), true);
    view.setBigUint64(24, BigInt(pieces), true);
    return this.#arena;
  }

  #address(region: MemoryRegion): bigint {
    let address = this.#addresses.get(region);
    if (address === undefined) {
      address = this.#libc.addressOf(region.u8);
      this.#addresses.set(region, address);
    }
    return address;
  }
}
