import { type CopyKernel, copyKernels } from '../../memory/copier.ts';
import type { MemoryRegion } from '../../memory/region.ts';
import type { ScanoutImage } from '../../sink/sink.ts';
import { ScanoutTimer } from '../../sink/timer.ts';

/** Pixels of the largest frame that the witness keeps. */
const MOST_PIXELS = 1 << 16;

/** Shows frames as a display engine does, and remembers the pixels of the last one of each head; very large ones it does not look at. */
export class WitnessSink extends ScanoutTimer {
  readonly last: (Uint32Array | null)[] = [null, null];
  readonly #images: (ScanoutImage | null)[] = [null, null];

  override setScanout(scanout: number, image: ScanoutImage | null): void {
    super.setScanout(scanout, image);
    this.#images[scanout] = image;
  }

  protected override shown(image: ScanoutImage): void {
    if (image.width * image.height > MOST_PIXELS) return;
    const { segments } = image;
    const pixels = new Uint32Array(image.width * image.height);
    for (let y = 0; y < image.height; y++) {
      for (let x = 0; x < image.width; x++) {
        const at = image.offset + y * image.stride + x * 4;
        const i = segments.find(at);
        pixels[y * image.width + x] = segments.region[i].u32[(segments.offset[i] + at - segments.start[i]) / 4];
      }
    }
    for (let head = 0; head < this.last.length; head++) if (this.#images[head] === image) this.last[head] = pixels;
  }
}

/** A kernel that notes what lies outside the region or in none that the host may touch. */
export class GuardedKernel implements CopyKernel {
  readonly name = 'guarded';
  readonly #inner = copyKernels()[0];
  readonly allowed: (region: MemoryRegion) => boolean;
  outside = 0;

  constructor(allowed: (region: MemoryRegion) => boolean) {
    this.allowed = allowed;
  }

  copy(to: MemoryRegion, toOffset: number, from: MemoryRegion, fromOffset: number, bytes: number): void {
    const inside = (region: MemoryRegion, at: number): boolean =>
      this.allowed(region) && at >= 0 && bytes >= 0 && at + bytes <= region.size;
    if (!inside(to, toOffset) || !inside(from, fromOffset)) this.outside++;
    this.#inner.copy(to, toOffset, from, fromOffset, bytes);
  }
}
