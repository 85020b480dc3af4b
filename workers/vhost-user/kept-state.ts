import { closeSync, existsSync, openSync, readFileSync, renameSync, statSync, writeSync } from 'node:fs';
import type { AddressSpace } from '../../core/memory/address-space.ts';
import { Command, MAX_SCANOUTS } from '../../core/protocol/constants.ts';
import { Resource, SetScanout } from '../../core/protocol/layout.ts';
import { type Chain, readChain } from '../../core/ring/chain.ts';
import { decodeBase64 } from '../../core/trace/base64.ts';

/** The file is written anew when it has grown by so much since it was. */
const REWRITE_BYTES = 8 * 1024 * 1024;
/** A request of 16,384 entries and its fixed part. */
const MOST_REQUEST = 16384 * 16 + 96;
const MOST_FILE = 256 * 1024 * 1024;
/** Of all requests kept; a guest that sets up more is not kept from there on. */
const MOST_KEPT = 64 * 1024 * 1024;
/** Of requests in flight: what goes past it is not kept. */
const MOST_TAKEN = 16 * 1024 * 1024;
/** What a request costs beside its bytes. */
const OVERHEAD = 128;
/** Bytes of a request at which the id of its resource stands, and of a SET_SCANOUT or SET_SCANOUT_BLOB its scanout's. */
const ID_AT = 4 * Resource.resource;
const SCANOUT_AT = 4 * SetScanout.scanout;

/**
 * What a guest has set up, kept in a file while it runs: the requests that made its resources, backed them and chose what its
 * scanouts show. A host that is started again carries them out (core/host/restore) and goes on where the one before ended.
 * One line a request, base64 and where its chain stands in the ring, appended right before the guest can see its answer (one that was
 * not answered comes again). A last line without its end is none, nor is one whose chain comes again.
 */
export class KeptState {
  readonly #path: string;
  readonly #space: AddressSpace;
  #fd = -1;
  #grown = 0;
  #kept = 0;
  /** By resource: what made it, and what backs it now. */
  readonly #made = new Map<number, Uint8Array>();
  readonly #backed = new Map<number, Uint8Array>();
  /** By scanout. */
  readonly #shown = new Map<number, Uint8Array>();
  /** By head of its chain: what was taken and not answered. */
  readonly #taken = new Map<number, Uint8Array>();
  #takenBytes = 0;
  readonly #view = new DataView(new ArrayBuffer(4));
  /** The last line of what was read, until it is known whether its chain comes again. */
  #last: { readonly request: Uint8Array; readonly position: number } | null = null;

  /** Reads what is there. @throws when the file cannot be read or written */
  constructor(path: string, space: AddressSpace) {
    this.#path = path;
    this.#space = space;
    if (existsSync(path)) this.#read();
    this.#rewrite();
  }

  /**
   * A driver goes on.
   * @param again where the chain stands that the host before this one was using and that comes again; null: there is none
   */
  goesOn(again: number | null): void {
    const last = this.#last;
    this.#last = null;
    if (last === null) return;
    if (last.position === again) this.#rewrite();
    else this.#note(last.request);
  }

  /** In the order in which they can be carried out. */
  get requests(): Uint8Array[] {
    return [...[...this.#made].flatMap(([id, made]) => [made, ...this.#one(this.#backed, id)]), ...this.#shown.values()];
  }

  /** A driver begins: nothing of the one before is left. */
  clear(): void {
    this.#made.clear();
    this.#backed.clear();
    this.#shown.clear();
    this.#kept = 0;
    this.#last = null;
    this.#taken.clear();
    this.#takenBytes = 0;
    this.#rewrite();
  }

  /** Takes a chain of the control queue if it sets something up. */
  observe(chain: Chain): void {
    const head = new Uint8Array(this.#view.buffer, 0, 4);
    // RACE: as in the device, which reads the request once more and may find another: then this one is wrong, for that guest alone.
    if (chain.readableBytes > MOST_REQUEST || readChain(this.#space, chain, 0, head, 0, 4) !== 4) return;
    if (!KEPT.has(this.#view.getUint32(0, true))) return;
    const request = new Uint8Array(chain.readableBytes);
    if (this.#takenBytes + request.length > MOST_TAKEN) return;
    if (readChain(this.#space, chain, 0, request, 0, request.length) !== request.length) return;
    this.#taken.set(chain.head, request);
    this.#takenBytes += request.length;
  }

  /** Notes what was taken with a chain of the control queue, which is about to be answered. @param position where it stands in the ring */
  answered(head: number, position: number): void {
    const request = this.#taken.get(head);
    if (request === undefined) return;
    this.#taken.delete(head);
    this.#takenBytes -= request.length;
    // Before: what is last in the file stays its last line.
    if (this.#grown > REWRITE_BYTES) this.#rewrite();
    if (!this.#note(request)) return;
    const line = lineOf(request, position);
    writeSync(this.#fd, line);
    this.#grown += line.length;
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }

  #one(from: Map<number, Uint8Array>, id: number): Uint8Array[] {
    const found = from.get(id);
    return found === undefined ? [] : [found];
  }

  /** @returns whether it changes anything */
  #note(request: Uint8Array): boolean {
    if (request.length < ID_AT + 8) return false;
    const view = new DataView(request.buffer, request.byteOffset, request.length);
    const type = view.getUint32(0, true);
    const id = view.getUint32(ID_AT, true);
    switch (type) {
      case Command.RESOURCE_CREATE_2D:
      case Command.RESOURCE_CREATE_BLOB:
        return !this.#made.has(id) && this.#keep(this.#made, id, request);
      case Command.RESOURCE_UNREF:
        this.#drop(this.#backed, id);
        return this.#drop(this.#made, id);
      // Of a blob that is detached its own entries go too: it is shown again only after an ATTACH.
      case Command.RESOURCE_ATTACH_BACKING:
      case Command.RESOURCE_DETACH_BACKING:
        return this.#made.has(id) && this.#keep(this.#backed, id, request);
      case Command.SET_SCANOUT:
      case Command.SET_SCANOUT_BLOB:
        if (request.length < SCANOUT_AT + 8 || view.getUint32(SCANOUT_AT, true) >= MAX_SCANOUTS) return false;
        return this.#keep(this.#shown, view.getUint32(SCANOUT_AT, true), request);
    }
    return false;
  }

  #keep(into: Map<number, Uint8Array>, key: number, request: Uint8Array): boolean {
    this.#drop(into, key);
    if (this.#kept + request.length + OVERHEAD > MOST_KEPT) return false;
    this.#kept += request.length + OVERHEAD;
    into.set(key, request);
    return true;
  }

  #drop(from: Map<number, Uint8Array>, key: number): boolean {
    const found = from.get(key);
    if (found === undefined) return false;
    this.#kept -= found.length + OVERHEAD;
    return from.delete(key);
  }

  #read(): void {
    // A device or a pipe would be read without end, and what is put in its place is a file.
    if (!statSync(this.#path).isFile()) throw new Error(`${this.#path}: it is no file; name another path`);
    const text = readFileSync(this.#path, 'latin1');
    if (text.length > MOST_FILE) throw new Error(`${this.#path}: more than ${MOST_FILE} bytes; it is no state of a host`);
    for (const line of text.slice(0, text.lastIndexOf('\n') + 1).split('\n')) {
      if (line === '') continue;
      const [text, at] = line.split(' ');
      const request = decodeBase64(text);
      if (request === null || request.length > MOST_REQUEST) throw new Error(`${this.#path}: it is no state of a host; delete it`);
      this.goesOn(null);
      this.#last = { request, position: Number(at) };
    }
  }

  /** All of it anew, in the place of the file. */
  #rewrite(): void {
    const next = `${this.#path}.new`;
    const fd = openSync(next, 'w', 0o600);
    for (const request of this.requests) writeSync(fd, lineOf(request));
    if (this.#last !== null) writeSync(fd, lineOf(this.#last.request, this.#last.position));
    renameSync(next, this.#path);
    this.close();
    this.#fd = fd;
    this.#grown = 0;
  }
}

/** @param position absent: of one whose chain was used long ago */
const lineOf = (request: Uint8Array, position = Number.NaN): string => `${Buffer.from(request).toString('base64')} ${position}\n`;

const KEPT: ReadonlySet<number> = new Set([
  Command.RESOURCE_CREATE_2D,
  Command.RESOURCE_CREATE_BLOB,
  Command.RESOURCE_UNREF,
  Command.RESOURCE_ATTACH_BACKING,
  Command.RESOURCE_DETACH_BACKING,
  Command.SET_SCANOUT,
  Command.SET_SCANOUT_BLOB,
]);
