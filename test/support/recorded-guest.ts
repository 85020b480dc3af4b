import { type CommandName, Flag } from '../../core/protocol/constants.ts';
import { encodeRequest, type Request, type RequestOf } from '../../core/protocol/request.ts';
import type { ChainRecord, Trace, TraceRecord } from '../../core/trace/trace.ts';

const HEADER = { flags: 0, fenceLo: 0, fenceHi: 0, ctxId: 0, ringIdx: 0 };
export const WIDTH = 64;
export const HEIGHT = 32;
const STRIDE = WIDTH * 4;
const BYTES = STRIDE * HEIGHT;
const PAGE = 4096;
/** A page is left out between two of a buffer. */
const APART = 2 * PAGE;

type Body<N extends CommandName> = Omit<RequestOf<N>, keyof typeof HEADER | 'name' | 'pads' | 'trailing'>;

/** Writes a trace as a recorder would, at times of the test's choice, µs. Pages are scattered: an entry a page. */
export class RecordedGuest {
  readonly records: TraceRecord[];
  #t = 0;
  #fence = 0;

  /** @param blob whether the guest has the feature */
  constructor(
    blob = true,
    regions: readonly { gpa: number; size: number; kind: 'ram' | 'device' }[] = [{ gpa: 0, size: 2 ** 22, kind: 'ram' }],
  ) {
    this.records = [
      { kind: 'features', lo: (0x7000_0000 | (blob ? 8 : 0)) >>> 0, hi: 1 },
      { kind: 'regions', regions: [...regions] },
    ];
  }

  get trace(): Trace {
    return {
      header: { trace: 'virtio-gpu-commands', version: 1, config: { num_scanouts: 1, width: WIDTH, height: HEIGHT } },
      records: this.records,
    };
  }

  /** What follows is sent at this time, µs. */
  at(t: number): this {
    this.#t = t;
    return this;
  }

  send<N extends CommandName>(name: N, body: Body<N>, fenced = false, queue: 0 | 1 = 0): this {
    if (fenced) this.#fence++;
    const header = fenced ? { ...HEADER, flags: Flag.FENCE, fenceLo: this.#fence } : HEADER;
    const request = encodeRequest({ ...header, name, ...body } as unknown as Request);
    const fixed = 'entries' in body ? request.length - (body.entries as unknown[]).length * 16 : request.length;
    const readable = fixed === request.length ? [fixed] : [fixed, request.length - fixed];
    const chain: ChainRecord = { kind: 'chain', t: this.#t, queue, indirect: true, readable, writable: queue === 0 ? [24] : [], request };
    this.records.push(chain);
    return this;
  }

  createBlob(resource: number, address: number): this {
    const entries = entriesAt(address);
    return this.send('RESOURCE_CREATE_BLOB', {
      resource,
      blobMem: 1,
      blobFlags: 2,
      blobIdLo: 0,
      blobIdHi: 0,
      sizeLo: BYTES,
      sizeHi: 0,
      entries,
    });
  }

  create2d(resource: number, address: number): this {
    this.send('RESOURCE_CREATE_2D', { resource, format: 2, width: WIDTH, height: HEIGHT });
    return this.send('RESOURCE_ATTACH_BACKING', { resource, entries: entriesAt(address) });
  }

  showBlob(resource: number): this {
    const size = { x: 0, y: 0, width: WIDTH, height: HEIGHT, scanout: 0, resource, fbWidth: WIDTH, fbHeight: HEIGHT, format: 2 };
    return this.send('SET_SCANOUT_BLOB', { ...size, strides: [STRIDE, 0, 0, 0], offsets: [0, 0, 0, 0] });
  }

  show2d(resource: number): this {
    return this.send('SET_SCANOUT', { x: 0, y: 0, width: WIDTH, height: HEIGHT, scanout: 0, resource });
  }

  transfer(resource: number, height = HEIGHT): this {
    return this.send('TRANSFER_TO_HOST_2D', { x: 0, y: 0, width: WIDTH, height, offsetLo: 0, offsetHi: 0, resource });
  }

  flush(resource: number, fenced = true): this {
    return this.send('RESOURCE_FLUSH', { x: 0, y: 0, width: WIDTH, height: HEIGHT, resource }, fenced);
  }

  /** A flip of an imported buffer: its FLUSH taken 100 µs after SET_SCANOUT_BLOB. */
  flip(t: number, resource: number): this {
    return this.at(t)
      .showBlob(resource)
      .at(t + 100)
      .flush(resource);
  }

  /** A flip of a copied buffer: TRANSFER, SET_SCANOUT, FLUSH, 100 µs apart. */
  copyFlip(t: number, resource: number): this {
    this.at(t).transfer(resource);
    this.at(t + 100).show2d(resource);
    return this.at(t + 200).flush(resource, false);
  }
}

/** Two imported buffers, flipped in turn every `everyUs` after a console: resource 2 once, then 3, 4, 3, 4 … */
export function flipping(flips: number, everyUs: number): RecordedGuest {
  const guest = new RecordedGuest().at(1000).createBlob(2, 0x10000);
  guest.flip(2000, 2);
  guest.at(300_000).createBlob(3, 0x40000).createBlob(4, 0x80000);
  for (let i = 0; i < flips; i++) guest.flip(400_000 + i * everyUs, 3 + (i % 2));
  return guest;
}

/** The same without blobs. */
export function copying(flips: number, everyUs: number): RecordedGuest {
  const guest = new RecordedGuest(false).at(1000).create2d(3, 0x40000).create2d(4, 0x80000);
  for (let i = 0; i < flips; i++) guest.copyFlip(400_000 + i * everyUs, 3 + (i % 2));
  return guest;
}

function entriesAt(address: number): { addrLo: number; addrHi: number; length: number }[] {
  return Array.from({ length: BYTES / PAGE }, (_, i) => ({ addrLo: address + i * APART, addrHi: 0, length: PAGE }));
}
