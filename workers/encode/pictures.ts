import { MemoryRegion } from '../../core/memory/region.ts';
import { SegmentList } from '../../core/memory/segments.ts';
import { type Slices, slicesOf } from './encoder.ts';
import { type ImageNews, MOST_IMAGES } from './link.ts';

/** An announced image as the encode thread reads it. */
export interface Picture {
  /** Pixels. */
  readonly width: number;
  readonly height: number;
  readonly stride: number;
  readonly offset: number;
  readonly format: number;
  /** Its bytes where they lie; null: they are scattered, and `segments` says how. */
  readonly inPlace: Slices | null;
  readonly segments: SegmentList;
}

/** The images that the host has announced. */
export class Pictures {
  readonly #pictures = new Map<number, Picture>();

  hear(news: ImageNews): void {
    if (news.kind === 'gone') this.#pictures.delete(news.id);
    else this.#add(news);
  }

  get(id: number): Picture | null {
    return this.#pictures.get(id) ?? null;
  }

  #add(news: ImageNews & { kind: 'image' }): void {
    const { id, width, height, stride, offset, format } = news;
    const regions = new Map<WebAssembly.Memory, MemoryRegion>();
    const segments = new SegmentList(news.segments.length);
    for (const { memory, offset: at, bytes } of news.segments) segments.append(regionOf(regions, memory), at, bytes);
    const only = segments.count === 1;
    const inPlace = only ? slicesOf(segments.region[0].memory, segments.offset[0] + offset, width & ~1, height & ~1, stride) : null;
    if (this.#pictures.size === MOST_IMAGES) {
      for (const oldest of this.#pictures.keys()) {
        this.#pictures.delete(oldest);
        break;
      }
    }
    this.#pictures.set(id, { width, height, stride, offset, format, inPlace, segments });
  }
}

function regionOf(regions: Map<WebAssembly.Memory, MemoryRegion>, memory: WebAssembly.Memory): MemoryRegion {
  let region = regions.get(memory);
  if (region === undefined) {
    const size = memory.buffer.byteLength;
    region = new MemoryRegion({ id: regions.size, name: 'announced', kind: 'ram', gpa: 0, size, device: null, bar: null, memory });
    regions.set(memory, region);
  }
  return region;
}
