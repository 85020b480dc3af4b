import { closeSync, openSync, writeSync } from 'node:fs';
import type { ScanoutImage, Sink } from '../../core/sink/sink.ts';

const WRITE_AT = 65536;

/** Writes a line of JSON for each flush: which frame of which head, its size, how it came, and its first pixel. */
export class FrameList {
  readonly #fd: number;
  #text = '';

  /** @throws when the file cannot be written */
  constructor(path: string) {
    this.#fd = openSync(path, 'w');
  }

  /** @returns a sink that notes each present and does what `sink` does */
  around(sink: Sink, heads: number): Sink {
    const images = new Array<ScanoutImage | null>(heads).fill(null);
    const noting: Partial<Sink> = {
      setScanout: (scanout, image) => {
        images[scanout] = image;
        sink.setScanout(scanout, image);
      },
      present: (scanout, frame, now) => {
        this.#note(scanout, frame, now[0], images[scanout]);
        sink.present(scanout, frame, now);
      },
    };
    return new Proxy(sink, {
      get(target, key) {
        if (key in noting) return noting[key as keyof Sink];
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === 'function' ? (value as () => unknown).bind(target) : value;
      },
    });
  }

  close(): void {
    this.#flush();
    closeSync(this.#fd);
  }

  #note(head: number, frame: number, nowNs: number, image: ScanoutImage | null): void {
    if (image === null) return;
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
    this.#text += `${JSON.stringify({ ...line, pixel: firstPixel(image) })}\n`;
    if (this.#text.length >= WRITE_AT) this.#flush();
  }

  #flush(): void {
    if (this.#text !== '') writeSync(this.#fd, this.#text);
    this.#text = '';
  }
}

/** The first pixel's word, in hexadecimal; null where there is none. */
function firstPixel({ segments, offset }: ScanoutImage): string | null {
  if (offset + 4 > segments.length || offset % 4 !== 0) return null;
  const i = segments.find(offset);
  const at = segments.offset[i] + (offset - segments.start[i]);
  // RACE: the guest drew it before it sent the FLUSH, whose avail index the device loaded.
  return `0x${segments.region[i].u32[at / 4].toString(16).padStart(8, '0')}`;
}
