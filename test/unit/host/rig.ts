import { HIGH, HostRig, type HostRigOptions, MIB } from '../../../core/machine/testing/host-rig.ts';
import { BlobFlag, BlobMem, Command, Format, Response } from '../../../core/protocol/constants.ts';
import { Header } from '../../../core/protocol/layout.ts';
import {
  setFence,
  writeAttachBacking,
  writeCreate2d,
  writeCreateBlob,
  writeFlush,
  writeMemEntry,
  writeResource,
  writeSetScanout,
  writeSetScanoutBlob,
  writeTransfer,
} from '../../../core/protocol/write.ts';

export { BAR, BASE_FEATURES, BLOB_FEATURES, HIGH, LOW, MIB } from '../../../core/machine/testing/host-rig.ts';
/** Pixels of tests lie from here in each region. */
export const PIXELS = 4 * MIB;
const COMMANDS = 0x100000;
const COMMAND_BYTES = 0x20000;
const COMMAND_SLOTS = 16;

export interface Answer {
  type: number;
  flags: number;
  fence: [number, number];
  context: number;
  used: number;
  bytes: Uint8Array;
}

export interface Entry {
  address: number;
  length: number;
}

export interface RigOptions extends HostRigOptions {
  /** Do not take the device up to DRIVER_OK. */
  asleep?: boolean;
}

/** A host device with a real ring in real memory, driven by hand. Regions: 0 RAM, 1 RAM above 4 GiB, 2 gpu0's BAR, 3 gpu1's. */
export class Rig extends HostRig {
  readonly answers = new Map<number, Answer>();
  /** Tokens in the order their responses came. */
  readonly order: number[] = [];
  readonly #words: Uint32Array;
  #next = 0;
  #fence = 0;

  constructor(options: RigOptions = {}) {
    super(options);
    this.#words = this.regions[0].u32;
    if (options.asleep !== true) this.start();
  }

  override start(features?: number, between?: () => void): void {
    super.start(features, between);
    this.answers.clear();
    this.order.length = 0;
  }

  /**
   * Enqueues a request without polling. @param write fills it in at a word index and returns its bytes
   * @returns its token
   */
  post(
    write: (w: Uint32Array, at: number) => number,
    options: { fenced?: boolean; writable?: number; bytes?: number; entries?: readonly Entry[] } = {},
  ): number {
    const token = this.#next++;
    const address = COMMANDS + (token % COMMAND_SLOTS) * COMMAND_BYTES;
    const at = address / 4;
    let bytes = write(this.#words, at);
    if (options.fenced === true) setFence(this.#words, at, ++this.#fence, 0xffffffff);
    for (const entry of options.entries ?? []) {
      bytes += writeMemEntry(
        this.#words,
        (address + bytes) / 4,
        entry.address % 2 ** 32,
        Math.floor(entry.address / 2 ** 32),
        entry.length,
      );
    }
    const writable = options.writable ?? 1056;
    this.control.begin();
    if ((options.bytes ?? bytes) > 0) this.control.readable(address, options.bytes ?? bytes);
    const response = COMMANDS + COMMAND_SLOTS * COMMAND_BYTES + (token % COMMAND_SLOTS) * 2048;
    this.regions[0].u8.fill(0xee, response, response + 2048);
    if (writable > 0) this.control.writable(response, writable);
    if (!this.control.submit(token)) throw new Error('ring full');
    this.control.publish();
    return token;
  }

  /** Polls until nothing progresses, then collects the responses. */
  run(): void {
    while (this.device.poll());
    this.collect();
  }

  collect(): void {
    while (this.control.popUsed()) {
      const token = this.control.usedToken;
      const at = COMMANDS + COMMAND_SLOTS * COMMAND_BYTES + (token % COMMAND_SLOTS) * 2048;
      const w = at / 4;
      this.order.push(token);
      this.answers.set(token, {
        type: this.#words[w + Header.type],
        flags: this.#words[w + Header.flags],
        fence: [this.#words[w + Header.fenceLo], this.#words[w + Header.fenceHi]],
        context: this.#words[w + Header.ctxId],
        used: this.control.usedLength,
        bytes: Uint8Array.from(this.regions[0].u8.subarray(at, at + 1056)),
      });
    }
  }

  /** Sends a request and runs. @returns its answer's type; 0: not answered yet, −1: used length 0 */
  send(write: (w: Uint32Array, at: number) => number, options: Parameters<Rig['post']>[1] = {}): number {
    const token = this.post(write, options);
    this.run();
    const answer = this.answers.get(token);
    return answer === undefined ? 0 : answer.used === 0 ? -1 : answer.type;
  }

  /** Time passes; the device runs. */
  advance(ns: number): void {
    this.clock.advance(ns);
    this.run();
  }

  create2d = (id: number, width = 64, height = 64, format: number = Format.B8G8R8X8): number =>
    this.send((w, at) => writeCreate2d(w, at, id, format, width, height));

  attach = (id: number, entries: readonly Entry[], count = entries.length): number =>
    this.send((w, at) => writeAttachBacking(w, at, id, count), { entries });

  detach = (id: number, fenced = false): number =>
    this.send((w, at) => writeResource(w, at, Command.RESOURCE_DETACH_BACKING, id), { fenced });

  unref = (id: number): number => this.send((w, at) => writeResource(w, at, Command.RESOURCE_UNREF, id));

  createBlob = (
    id: number,
    entries: readonly Entry[],
    options: { size?: number; memory?: number; flags?: number; count?: number; sizeHi?: number } = {},
  ): number =>
    this.send(
      (w, at) =>
        writeCreateBlob(
          w,
          at,
          id,
          options.memory ?? BlobMem.GUEST,
          options.flags ?? BlobFlag.SHAREABLE,
          options.count ?? entries.length,
          0,
          0,
          options.size ?? entries.reduce((sum, entry) => sum + entry.length, 0),
          options.sizeHi ?? 0,
        ),
      { entries },
    );

  setScanout = (head: number, id: number, x = 0, y = 0, width = 64, height = 64): number =>
    this.send((w, at) => writeSetScanout(w, at, x, y, width, height, head, id));

  setScanoutBlob = (
    head: number,
    id: number,
    o: {
      x?: number;
      y?: number;
      width?: number;
      height?: number;
      fbWidth?: number;
      fbHeight?: number;
      format?: number;
      stride?: number;
      offset?: number;
    } = {},
  ): number =>
    this.send((w, at) =>
      writeSetScanoutBlob(
        w,
        at,
        o.x ?? 0,
        o.y ?? 0,
        o.width ?? 64,
        o.height ?? 64,
        head,
        id,
        o.fbWidth ?? 64,
        o.fbHeight ?? 64,
        o.format ?? Format.B8G8R8X8,
        o.stride ?? 256,
        o.offset ?? 0,
      ),
    );

  transfer = (id: number, x = 0, y = 0, width = 64, height = 64, offset = 0, fenced = false): number =>
    this.send((w, at) => writeTransfer(w, at, x, y, width, height, offset % 2 ** 32, Math.floor(offset / 2 ** 32), id), { fenced });

  flush = (id: number, options: { fenced?: boolean; x?: number; y?: number; width?: number; height?: number } = {}): number =>
    this.send((w, at) => writeFlush(w, at, options.x ?? 0, options.y ?? 0, options.width ?? 64, options.height ?? 64, id), {
      fenced: options.fenced ?? false,
    });

  /** A 64×64 frame shown on head 0 with a resource of its own: whether the device still serves. */
  serves(): boolean {
    const ok = Response.OK_NODATA;
    return (
      this.create2d(9999) === ok &&
      this.attach(9999, [{ address: HIGH + 11 * MIB, length: 16384 }]) === ok &&
      this.transfer(9999) === ok &&
      this.setScanout(0, 9999) === ok &&
      (this.flush(9999) === ok || this.#late()) &&
      this.unref(9999) === ok
    );
  }

  #late(): boolean {
    this.advance(1e9);
    return this.answers.get(this.order[this.order.length - 1])?.type === Response.OK_NODATA;
  }
}

/** A buffer of `pages` pages that lie apart, from `address` on. */
export const scattered = (address: number, pages: number): Entry[] =>
  Array.from({ length: pages }, (_, i) => ({ address: address + i * 8192, length: 4096 }));
/** 64×64 pixels in one piece. */
export const frame = (address: number): Entry[] => [{ address, length: 16384 }];
