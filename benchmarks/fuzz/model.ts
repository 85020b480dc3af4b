/**
 * What the host has to answer and to hold, said a second time and as simply as possible: resources, backings, scanouts,
 * budget. Profile `series`, policy `copy`. It reads requests as the wire has them, whatever words were changed in them.
 */
import { Command, formatBytesPerPixel, Response } from '../../core/protocol/constants.ts';
import { Size } from '../../core/protocol/layout.ts';

/** Neither an answer nor an error: used length 0. */
export const NOTHING = -1;
/** The ring itself is broken. */
export const RESET = -2;

const TWO_32 = 4294967296;
const PAGE = 4096;
const { OK_NODATA: OK, ERR_UNSPEC: UNSPEC, ERR_OUT_OF_MEMORY: OOM } = Response;
const { ERR_INVALID_SCANOUT_ID: SCAN, ERR_INVALID_RESOURCE_ID: RES, ERR_INVALID_PARAMETER: PARAM } = Response;

export interface Limits {
  readonly heads: number;
  readonly maxEntries: number;
  readonly maxBytes: number;
  /** udmabuf's list_limit and size limit in bytes. */
  readonly listLimit: number;
  readonly sizeLimit: number;
}

export interface ModelRegion {
  readonly gpa: number;
  readonly size: number;
  readonly device: boolean;
  present: boolean;
}

interface Piece {
  readonly region: ModelRegion;
  readonly offset: number;
  readonly length: number;
}

interface ModelResource {
  readonly blob: boolean;
  readonly width: number;
  readonly height: number;
  readonly size: number;
  attached: boolean;
  /** The guest's pages, while the host may read them. */
  pages: readonly Piece[] | null;
  /** Blobs: where their pixels are. */
  state: 'none' | 'imported' | 'copied' | 'revoked';
  segments: number;
  bytes: number;
}

interface Head {
  resource: ModelResource | null;
  x: number;
  y: number;
  width: number;
  height: number;
}

const BODY: Readonly<Record<number, number>> = {
  [Command.GET_DISPLAY_INFO]: Size.getDisplayInfo,
  [Command.RESOURCE_CREATE_2D]: Size.create2d,
  [Command.RESOURCE_UNREF]: Size.unref,
  [Command.SET_SCANOUT]: Size.setScanout,
  [Command.RESOURCE_FLUSH]: Size.flush,
  [Command.TRANSFER_TO_HOST_2D]: Size.transfer,
  [Command.RESOURCE_ATTACH_BACKING]: Size.attachBacking,
  [Command.RESOURCE_DETACH_BACKING]: Size.detachBacking,
  [Command.GET_EDID]: Size.getEdid,
  [Command.RESOURCE_CREATE_BLOB]: Size.createBlob,
  [Command.SET_SCANOUT_BLOB]: Size.setScanoutBlob,
};

const sum = (pieces: readonly Piece[]): number => pieces.reduce((total, { length }) => total + length, 0);
const aligned = (bytes: number): boolean => bytes % PAGE === 0;

export class HostModel {
  readonly regions: ModelRegion[];
  readonly #limits: Limits;
  readonly #resources = new Map<number, ModelResource>();
  readonly #heads: Head[];
  /** Requests of the cursor queue that were refused. */
  cursorErrors = 0;

  constructor(limits: Limits, regions: readonly Omit<ModelRegion, 'present'>[]) {
    this.#limits = limits;
    this.regions = regions.map((region) => ({ ...region, present: true }));
    this.#heads = Array.from({ length: limits.heads }, () => ({ resource: null, x: 0, y: 0, width: 0, height: 0 }));
  }

  /** Bytes, segments and resources that the host holds once it rests. */
  get held(): string {
    let bytes = 0;
    let segments = 0;
    for (const resource of this.#resources.values()) {
      bytes += resource.bytes;
      segments += resource.segments;
    }
    return `${bytes} bytes, ${segments} segments, ${this.#resources.size} resources`;
  }

  get #bytes(): number {
    let bytes = 0;
    for (const resource of this.#resources.values()) bytes += resource.bytes;
    return bytes;
  }

  /** Whether a range lies in one present region. */
  find(address: number, length: number): ModelRegion | null {
    return this.regions.find(({ gpa, size, present }) => present && address >= gpa && address + length <= gpa + size) ?? null;
  }

  reset(): void {
    this.#resources.clear();
    for (const head of this.#heads) head.resource = null;
  }

  /** A region comes or goes: blobs in one that goes are revoked, backings in it are lost. */
  setPresent(id: number, present: boolean): void {
    const region = this.regions[id];
    region.present = present;
    if (present) return;
    for (const resource of this.#resources.values()) {
      if (!resource.pages?.some((piece) => piece.region === region)) continue;
      resource.pages = null;
      if (!resource.blob) continue;
      if (resource.state === 'copied') resource.bytes = 0;
      resource.state = 'revoked';
    }
  }

  /** The cursor queue: only errors are told. */
  cursor(bytes: Uint8Array): void {
    if (!this.#cursor(bytes)) this.cursorErrors++;
  }

  /** @param writable bytes for the response @returns the answer's type, or NOTHING */
  control(bytes: Uint8Array, writable: number): number {
    if (writable < Size.header) return NOTHING;
    if (bytes.length < Size.header) return UNSPEC;
    const w = wordsOf(bytes, Size.setScanoutBlob);
    // A ring_idx needs contexts, which are not offered.
    if ((w[1] & 2) !== 0) return PARAM;
    const needed = BODY[w[0]];
    // What is left out of BODY belongs to features that are not offered.
    if (needed === undefined || bytes.length < needed) return UNSPEC;
    if (w[0] === Command.GET_DISPLAY_INFO && writable < Size.respDisplayInfo) return UNSPEC;
    if (w[0] === Command.GET_EDID && writable < Size.respEdid) return UNSPEC;
    switch (w[0]) {
      case Command.GET_DISPLAY_INFO:
        return Response.OK_DISPLAY_INFO;
      case Command.GET_EDID:
        return w[6] < this.#heads.length ? Response.OK_EDID : PARAM;
      case Command.RESOURCE_CREATE_2D:
        return this.#create2d(w);
      case Command.RESOURCE_CREATE_BLOB:
        return this.#createBlob(w, bytes);
      case Command.SET_SCANOUT:
      case Command.SET_SCANOUT_BLOB:
        return this.#setScanout(w);
    }
    const id = w[0] === Command.RESOURCE_FLUSH ? w[10] : w[0] === Command.TRANSFER_TO_HOST_2D ? w[12] : w[6];
    const resource = this.#resources.get(id);
    if (resource === undefined) return RES;
    switch (w[0]) {
      case Command.RESOURCE_UNREF:
        for (const head of this.#heads) if (head.resource === resource) head.resource = null;
        this.#resources.delete(id);
        return OK;
      case Command.RESOURCE_ATTACH_BACKING:
        return this.#attach(resource, w, bytes);
      case Command.RESOURCE_DETACH_BACKING:
        if (!resource.attached) return UNSPEC;
        drop(resource);
        return OK;
      case Command.TRANSFER_TO_HOST_2D:
        return transfer(resource, w);
      default:
        return this.#flush(resource, w);
    }
  }

  #create2d(w: Uint32Array): number {
    const [id, format, width, height] = w.subarray(6);
    if (id === 0 || this.#resources.has(id)) return RES;
    const bpp = formatBytesPerPixel(format);
    if (bpp === 0 || width === 0 || height === 0) return PARAM;
    const size = width * height * bpp;
    if (this.#bytes + size > this.#limits.maxBytes) return OOM;
    const none = { attached: false, pages: null, state: 'none', segments: 0 } as const;
    this.#resources.set(id, { ...none, blob: false, width, height, size, bytes: size });
    return OK;
  }

  #createBlob(w: Uint32Array, bytes: Uint8Array): number {
    const id = w[6];
    const count = w[9];
    if (id === 0) return RES;
    if (w[7] !== 1) return PARAM;
    if (this.#resources.has(id)) return RES;
    if (count === 0) return PARAM;
    const pieces = this.#entries(bytes, Size.createBlob, count);
    if (pieces === null) return UNSPEC;
    const size = w[13] * TWO_32 + w[12];
    const total = sum(pieces);
    if (size === 0 || size > total || !(aligned(size) || (count === 1 && total < PAGE))) return PARAM;
    const resource: ModelResource = {
      blob: true,
      width: 0,
      height: 0,
      size,
      attached: false,
      pages: null,
      state: 'none',
      segments: 0,
      bytes: 0,
    };
    if (!this.#import(resource, pieces)) return OOM;
    this.#resources.set(id, resource);
    return OK;
  }

  #attach(resource: ModelResource, w: Uint32Array, bytes: Uint8Array): number {
    const revoked = resource.blob ? resource.state === 'revoked' : resource.pages === null;
    if (resource.attached && !revoked) return UNSPEC;
    const pieces = this.#entries(bytes, Size.attachBacking, w[7]);
    if (pieces === null) return UNSPEC;
    if (resource.blob) {
      if (sum(pieces) < resource.size) return PARAM;
      drop(resource);
      return this.#import(resource, pieces) ? OK : OOM;
    }
    resource.attached = true;
    resource.pages = pieces;
    resource.segments = pieces.length;
    return OK;
  }

  /** Imported where one exporter has all pages, else copied. @returns false past the budget */
  #import(resource: ModelResource, pieces: readonly Piece[]): boolean {
    const total = sum(pieces);
    const { listLimit, sizeLimit, maxBytes } = this.#limits;
    const whole = pieces.every(({ offset, length }) => aligned(offset) && aligned(length));
    const udmabuf = pieces.every(({ region }) => !region.device) && whole && pieces.length <= listLimit && total <= sizeLimit;
    const vfio = pieces[0].region.device && pieces.every(({ region }) => region === pieces[0].region) && whole;
    const direct = pieces.length === 1 && total < PAGE;
    if (!direct && !udmabuf && !vfio) {
      if (this.#bytes + resource.size > maxBytes) return false;
      resource.bytes = resource.size;
      resource.state = 'copied';
    } else {
      resource.state = 'imported';
    }
    resource.attached = true;
    resource.pages = pieces;
    resource.segments = pieces.length;
    return true;
  }

  /** @returns null for entries that are too many, too few, empty or not in memory */
  #entries(bytes: Uint8Array, from: number, count: number): Piece[] | null {
    if (count === 0 || count > this.#limits.maxEntries || bytes.length < from + count * 16) return null;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const pieces: Piece[] = [];
    for (let at = from; at < from + count * 16; at += 16) {
      const address = view.getUint32(at + 4, true) * TWO_32 + view.getUint32(at, true);
      const length = view.getUint32(at + 8, true);
      const region = length === 0 ? null : this.find(address, length);
      if (region === null) return null;
      pieces.push({ region, offset: address - region.gpa, length });
    }
    return pieces;
  }

  #setScanout(w: Uint32Array): number {
    const [x, y, width, height, head, id] = w.subarray(6);
    if (head >= this.#heads.length) return SCAN;
    if (id === 0) {
      this.#heads[head].resource = null;
      return OK;
    }
    const resource = this.#resources.get(id);
    if (resource === undefined) return RES;
    let fbWidth = resource.width;
    let fbHeight = resource.height;
    if (w[0] === Command.SET_SCANOUT) {
      if (!resource.attached || resource.blob) return UNSPEC;
    } else {
      if (!resource.blob) return PARAM;
      if (resource.pages === null) return UNSPEC;
      [fbWidth, fbHeight] = w.subarray(12);
      const stride = w[16];
      if (formatBytesPerPixel(w[14]) === 0 || fbWidth === 0 || fbHeight === 0) return PARAM;
      if (w[20] + (fbHeight - 1) * stride + fbWidth * 4 > resource.size || stride < fbWidth * 4) return PARAM;
    }
    if (width < 16 || height < 16 || width > 16384 || height > 16384) return PARAM;
    if (x + width > fbWidth || y + height > fbHeight) return PARAM;
    this.#heads[head] = { resource, x, y, width, height };
    return OK;
  }

  #flush(resource: ModelResource, w: Uint32Array): number {
    const [x, y, width, height] = w.subarray(6);
    if (!resource.blob) return x + width > resource.width || y + height > resource.height ? PARAM : OK;
    const shown = this.#heads.some(
      (head) =>
        head.resource === resource && x < head.x + head.width && head.x < x + width && y < head.y + head.height && head.y < y + height,
    );
    if (!shown) return resource.attached ? PARAM : UNSPEC;
    return resource.pages === null ? UNSPEC : OK;
  }

  #cursor(bytes: Uint8Array): boolean {
    if (bytes.length < Size.updateCursor) return false;
    const w = wordsOf(bytes, Size.updateCursor);
    if (w[0] !== Command.UPDATE_CURSOR && w[0] !== Command.MOVE_CURSOR) return false;
    if (w[6] >= this.#heads.length) return false;
    if (w[0] === Command.MOVE_CURSOR || w[10] === 0) return true;
    const resource = this.#resources.get(w[10]);
    if (resource === undefined) return false;
    if (!resource.blob) return resource.width === 64 && resource.height === 64;
    return resource.pages !== null && resource.size >= 64 * 64 * 4;
  }
}

function wordsOf(bytes: Uint8Array, most: number): Uint32Array {
  const words = new Uint32Array(most / 4);
  new Uint8Array(words.buffer).set(bytes.subarray(0, most));
  return words;
}

function drop(resource: ModelResource): void {
  resource.attached = false;
  resource.pages = null;
  resource.segments = 0;
  if (!resource.blob) return;
  resource.state = 'none';
  resource.bytes = 0;
}

function transfer(resource: ModelResource, w: Uint32Array): number {
  const [x, y, width, height, lo, hi] = w.subarray(6);
  if (!resource.attached || resource.pages === null) return UNSPEC;
  if (resource.blob) return OK;
  if (x + width > resource.width || y + height > resource.height) return PARAM;
  if (width === 0 || height === 0) return OK;
  const end = hi * TWO_32 + lo + (height - 1) * resource.width * 4 + width * 4;
  return end > sum(resource.pages) ? PARAM : OK;
}
