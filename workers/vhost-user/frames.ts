import { closeSync, openSync, writeFileSync } from 'node:fs';
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
    this.#text += `${JSON.stringify({ ...line, pixel: firstPixel(image) })}\n`;
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
class NotingSink implements Sink {
  readonly releasedScanout: Int32Array;
  readonly releasedFrame: Int32Array;
  readonly releasedFlags: Int32Array;
  readonly presentedNs: Float64Array;
  readonly releasedNs: Float64Array;
  readonly vblank: Float64Array;
  readonly deadline: Float64Array;
  readonly #sink: Sink;
  readonly #list: FrameList;
  /** By head. */
  readonly #images: (ScanoutImage | null)[];

  constructor(sink: Sink, heads: number, list: FrameList) {
    this.#sink = sink;
    this.#list = list;
    this.#images = new Array<ScanoutImage | null>(heads).fill(null);
    this.releasedScanout = sink.releasedScanout;
    this.releasedFrame = sink.releasedFrame;
    this.releasedFlags = sink.releasedFlags;
    this.presentedNs = sink.presentedNs;
    this.releasedNs = sink.releasedNs;
    this.vblank = sink.vblank;
    this.deadline = sink.deadline;
  }

  setScanout(scanout: number, image: ScanoutImage | null): void {
    this.#images[scanout] = image;
    this.#sink.setScanout(scanout, image);
  }

  present(scanout: number, frame: number, now: Float64Array): void {
    const image = this.#images[scanout];
    if (image !== null) this.#list.note(scanout, frame, now[0], image);
    this.#sink.present(scanout, frame, now);
  }

  pollReleases(now: Float64Array): number {
    return this.#sink.pollReleases(now);
  }

  stop(resourceId: number): void {
    this.#sink.stop(resourceId);
  }

  holds(resourceId: number): boolean {
    return this.#sink.holds(resourceId);
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
