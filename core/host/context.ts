import type { Memfd } from '../dmabuf/udmabuf.ts';
import type { MemoryRegion } from '../memory/region.ts';
import type { SegmentList } from '../memory/segments.ts';
import { Feature } from '../protocol/constants.ts';
import { MEM_ENTRY_WORDS, Size } from '../protocol/layout.ts';
import { Chain } from '../ring/chain.ts';
import { Flushes } from './flushes.ts';
import type { HostOptions } from './options.ts';
import { ResourceTable } from './resources.ts';
import { Scanouts } from './scanouts.ts';

/** A handler's answer when the command has to stay at the head of its queue until the sink has released something. */
export const STALL = -1;

/** A display that a head is connected to. */
export interface Display {
  width: number;
  height: number;
  refreshHz: number;
}

/** What the commands of one device work on: the request's snapshot, the tables, the response under construction. */
export class Context {
  readonly options: HostOptions;
  readonly resources: ResourceTable;
  readonly scanouts: Scanouts;
  readonly flushes: Flushes;
  readonly displays: (Display | null)[];
  readonly edids: (Uint8Array | null)[];
  /** By region id; null: no file descriptor, so no udmabuf. */
  readonly memfds: (Memfd | null)[] = [];
  readonly qemu: boolean;

  /** Negotiated feature bits 0–31. */
  features = 0;
  /** Bits 32–63. */
  featuresHi = 0;

  // The request: its fixed part, copied out of shared memory once.
  readonly chain = new Chain();
  readonly body = new Uint32Array(Size.setScanoutBlob / 4);
  readonly bodyBytes = new Uint8Array(this.body.buffer);

  // The cursor queue's, apart: it goes on while a request of the control queue waits.
  readonly cursorChain = new Chain();
  readonly cursorBody = new Uint32Array(Size.updateCursor / 4);
  readonly cursorBytes = new Uint8Array(this.cursorBody.buffer);

  // The control request's memory entries, copied out likewise.
  entries = new Uint32Array(1024 * MEM_ENTRY_WORDS);
  entryBytes = new Uint8Array(this.entries.buffer);
  // And what they resolved to: region id, offset there, bytes.
  entryRegion = new Int32Array(1024);
  entryOffset = new Float64Array(1024);
  entryLength = new Float64Array(1024);
  /** Bytes of all entries. */
  entryTotal = 0;
  /** All entries lie in one region. */
  entriesInOneRegion = false;
  /** Every entry's region has a file descriptor. */
  entriesHaveFds = false;

  // The response.
  readonly response = new Uint32Array(Size.respEdid / 4);
  readonly responseU8 = new Uint8Array(this.response.buffer);
  /** Bytes of the response if the handler answers OK. */
  responseBytes: number = Size.header;
  /** Set by FLUSH: the flush to be answered at its release; -1: answer at once. */
  flushSlot = -1;

  /** Chains returned to the control queue since its last publish. */
  pushed = 0;

  /** The clock's slot: `nowNs` as sinks take it. */
  readonly nowSlot: Float64Array;
  /** When the frame being prepared was picked up; -1: no command of it seen yet. */
  get pickupNs(): number {
    return this.#times[0];
  }
  set pickupNs(ns: number) {
    this.#times[0] = ns;
  }
  /** ns spent on transfers and imports for the frame being prepared. */
  get transferNs(): number {
    return this.#times[1];
  }
  set transferNs(ns: number) {
    this.#times[1] = ns;
  }
  /** When this poll's work began; -1: it has not yet. */
  get workNs(): number {
    return this.#times[2];
  }
  set workNs(ns: number) {
    this.#times[2] = ns;
  }
  /** Slots, not fields: a field's new double would be boxed every time. */
  readonly #times = new Float64Array([-1, 0, -1]);
  /** Rows of the frame log to charge this poll's work to. */
  readonly touched = new Int32Array(64);
  touchedCount = 0;

  readonly fallbacks: { resourceId: number; reason: string }[] = [];
  readonly cursors: Cursor[] = [];

  constructor(options: HostOptions) {
    this.options = options;
    this.nowSlot = options.clock.slot;
    this.qemu = options.profile === 'qemu-10.2';
    this.resources = new ResourceTable(options.maxHostmem);
    this.scanouts = new Scanouts(options.displays.length, options.sink);
    this.flushes = new Flushes(options.displays.length);
    this.displays = options.displays.map((display) => ({ ...display }));
    this.edids = options.displays.map(() => null);
    for (const region of options.regions) this.noteFile(region);
    for (let i = 0; i < options.displays.length; i++) this.cursors.push(new Cursor());
  }

  /** Looks which file a region of guest memory has. */
  noteFile(region: MemoryRegion): void {
    // Ids of a session may have holes.
    while (this.memfds.length <= region.id) this.memfds.push(null);
    this.memfds[region.id] = this.options.memfdOf(region);
  }

  /** Whether one of the device's own feature bits (0–31) was negotiated. */
  has(bit: number): boolean {
    return ((this.features >>> bit) & 1) !== 0;
  }

  get blob(): boolean {
    return this.has(Feature.RESOURCE_BLOB);
  }

  /** Time of the last clock read, ns. */
  get nowNs(): number {
    return this.nowSlot[0];
  }

  /** Reads the clock into `nowNs`. */
  now(): void {
    this.options.clock.read();
  }

  /** Remembers a row of the frame log as one that this poll worked for. */
  touch(row: number): void {
    if (this.touchedCount < this.touched.length) this.touched[this.touchedCount++] = row;
  }
}

/** A head's cursor, as the host would draw it. */
export class Cursor {
  /** 0: hidden. */
  resourceId = 0;
  x = 0;
  y = 0;
  hotX = 0;
  hotY = 0;
  /** The host's copy of the 64×64 image; null before the first update. */
  image: SegmentList | null = null;
}
