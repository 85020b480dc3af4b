import { closeSync, openSync, writeFileSync } from 'node:fs';
import { ForwardingSink } from '../../core/sink/forwarding.ts';
import type { ScanoutImage, Sink } from '../../core/sink/sink.ts';

const WRITE_AT = 65536;
/** Rows and columns of the pixels that stand for a frame. */
const GRID = 16;

/**
 * Writes a line of JSON for each flush: which frame of which head, its size, how it came, its first pixel, and of pixels in a grid
 * over all of it how many different ones there are (`colours`) and a hash, which changes with the picture.
 */
export class FrameList {
  readonly #fd: number;
  #text = '';

  /** @throws when the file cannot be written */
  constructor(path: string) {
    this.#fd = openSync(path, 'w');
  }

  /** @returns a sink that notes each present and does what `sink` does */
  around(sink: Sink, heads: number): Sink {
    return new NotingSink(sink, heads, this);
  }

  close(): void {
    try {
      this.#flush();
    } finally {
      closeSync(this.#fd);
    }
  }

  note(head: number, frame: number, nowNs: number, image: ScanoutImage): void {
    const { width, height, format, resourceId, imported, segments } = image;
    const line = {
      t: Math.round(nowNs / 1000),
      head,
      frame,
      width,
      height,
      format,
      resource: resourceId,
      imported,
      segments: segments.count,
    };
    this.#text += `${JSON.stringify({ ...line, pixel: hex(pixelAt(image, 0, 0)), ...look(image) })}\n`;
    if (this.#text.length >= WRITE_AT) this.#flush();
  }

  #flush(): void {
    const text = this.#text;
    this.#text = '';
    // All of it, or it throws.
    if (text !== '') writeFileSync(this.#fd, text);
  }
}

/** Does what another sink does, and notes each present. */
class NotingSink extends ForwardingSink {
  readonly #list: FrameList;
  /** By head. */
  readonly #images: (ScanoutImage | null)[];

  constructor(sink: Sink, heads: number, list: FrameList) {
    super(sink);
    this.#list = list;
    this.#images = new Array<ScanoutImage | null>(heads).fill(null);
  }

  override setScanout(scanout: number, image: ScanoutImage | null): void {
    this.#images[scanout] = image;
    super.setScanout(scanout, image);
  }

  override present(scanout: number, frame: number, now: Float64Array): void {
    const image = this.#images[scanout];
    if (image !== null) this.#list.note(scanout, frame, now[0], image);
    super.present(scanout, frame, now);
  }
}

/** A pixel's word; null where there is none. */
function pixelAt({ segments, offset, stride }: ScanoutImage, x: number, y: number): number | null {
  const start = offset + y * stride + x * 4;
  if (start + 4 > segments.length) return null;
  const i = segments.find(start);
  const at = segments.offset[i] + (start - segments.start[i]);
  // A guest may lay it anywhere.
  if (at % 4 !== 0) return null;
  // RACE: the guest drew it before it sent the FLUSH, whose avail index the device loaded.
  return segments.region[i].u32[at / 4];
}

function look(image: ScanoutImage): { readonly colours: number; readonly hash: string | null } {
  const different = new Set<number | null>();
  // FNV-1a, of words.
  let hash = 0x811c9dc5;
  for (let row = 0; row < GRID; row++) {
    const y = Math.floor(((row + 0.5) * image.height) / GRID);
    for (let column = 0; column < GRID; column++) {
      const pixel = pixelAt(image, Math.floor(((column + 0.5) * image.width) / GRID), y);
      different.add(pixel);
      hash = Math.imul(hash ^ (pixel ?? 0), 0x01000193) >>> 0;
    }
  }
  return { colours: different.size, hash: hex(hash) };
}

const hex = (word: number | null): string | null => (word === null ? null : `0x${word.toString(16).padStart(8, '0')}`);
