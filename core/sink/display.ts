import type { Copier } from '../memory/copier.ts';
import { CopyStage } from '../memory/ledger.ts';
import type { MemoryRegion } from '../memory/region.ts';
import { SegmentList } from '../memory/segments.ts';
import type { ScanoutImage } from './sink.ts';
import { ScanoutTimer, type ScanoutTiming } from './timer.ts';

export interface DisplayOptions extends ScanoutTiming {
  copier: Copier;
  /** Memory for a texture; null: none left. */
  allocateTexture(bytes: number): MemoryRegion | null;
  freeTexture(region: MemoryRegion): void;
  /** Most bytes of textures in all: a guest may show one large image on every head. Default 1 GiB. */
  maxTextureBytes?: number;
}

const MAX_TEXTURE_BYTES = 1024 * 1024 * 1024;

/** One head's texture, as large as the largest image it had to take. */
interface Texture {
  region: MemoryRegion;
  list: SegmentList;
  bytes: number;
}

/**
 * A display as a user interface has it: a buffer that was imported is mapped once and drawn from where it lies; a copy of the
 * host's is uploaded into a texture for every frame it shows (virtio-gpu §3, "copies per display path").
 */
export class DisplaySink extends ScanoutTimer {
  readonly #options: DisplayOptions;
  readonly #textures: (Texture | null)[];
  readonly #maxTextureBytes: number;
  #textureBytes = 0;
  /** Images mapped, each once however many frames it shows. */
  readonly #mapped = new WeakSet<ScanoutImage>();
  #mappings = 0;
  #uploads = 0;
  #uploadsFailed = 0;

  constructor(options: DisplayOptions) {
    super(options);
    this.#options = options;
    this.#maxTextureBytes = options.maxTextureBytes ?? MAX_TEXTURE_BYTES;
    this.#textures = new Array<Texture | null>(options.heads).fill(null);
  }

  /** Bytes of all textures held. */
  get textureBytes(): number {
    return this.#textureBytes;
  }

  /** Imported buffers mapped so far. */
  get mappings(): number {
    return this.#mappings;
  }

  /** Host copies uploaded so far: one a frame that showed one. */
  get uploads(): number {
    return this.#uploads;
  }

  /** Frames not uploaded because there was no memory for a texture, or the image reaches past its buffer. */
  get uploadsFailed(): number {
    return this.#uploadsFailed;
  }

  override setScanout(scanout: number, image: ScanoutImage | null): void {
    super.setScanout(scanout, image);
    if (image === null) {
      this.#drop(scanout);
      return;
    }
    if (image.imported) {
      if (!this.#mapped.has(image)) {
        this.#mapped.add(image);
        this.#mappings++;
      }
    } else {
      this.#texture(scanout, image.width * 4 * image.height);
    }
  }

  protected override shown(image: ScanoutImage, _frame: number, _slot: number, scanout: number): void {
    if (image.imported) return;
    const rowBytes = image.width * 4;
    const texture = this.#texture(scanout, rowBytes * image.height);
    const { segments } = image;
    if (texture === null || image.offset + (image.height - 1) * image.stride + rowBytes > segments.length) {
      this.#uploadsFailed++;
      return;
    }
    this.#options.copier.copyRect(
      texture.list,
      0,
      rowBytes,
      segments,
      image.offset,
      image.stride,
      rowBytes,
      image.height,
      CopyStage.upload,
    );
    this.#uploads++;
  }

  /** The head's texture, made larger if need be. */
  #texture(scanout: number, bytes: number): Texture | null {
    const present = this.#textures[scanout];
    if (present !== null && present.bytes >= bytes) return present;
    if (this.#textureBytes - (present?.bytes ?? 0) + bytes > this.#maxTextureBytes) return null;
    const region = this.#options.allocateTexture(bytes);
    if (region === null) return null;
    this.#drop(scanout);
    const list = new SegmentList(1);
    list.append(region, 0, bytes);
    const made = { region, list, bytes };
    this.#textures[scanout] = made;
    this.#textureBytes += bytes;
    return made;
  }

  #drop(scanout: number): void {
    const present = this.#textures[scanout];
    if (present === null) return;
    this.#options.freeTexture(present.region);
    this.#textureBytes -= present.bytes;
    this.#textures[scanout] = null;
  }
}
