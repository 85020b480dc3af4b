import type { PassthroughGpu } from '../dmabuf/gpu.ts';
import type { GpuBuffer, Placement } from '../dmabuf/gpu-buffer.ts';
import type { Surface } from '../guest/compositor.ts';
import { AllocationError, type VirtioGpuDriver } from '../guest/driver.ts';
import type { Mode, SurfaceSource } from '../guest/mode-setting.ts';
import { freeImported, importDmaBuf } from '../guest/prime.ts';
import type { DumbBuffer, Framebuffer, GuestResource } from '../guest/resource.ts';
import { PAGE_SIZE, pageAlign } from '../memory/address.ts';
import type { PageAllocator, PageLayout } from '../memory/allocator.ts';
import type { SegmentList } from '../memory/segments.ts';
import { Format } from '../protocol/constants.ts';
import type { MachineOptions } from './options.ts';
import { frameBytes } from './plan.ts';

/** Makes and frees a machine's swap chains: the buffers that its path needs, in the layout of the moment. */
export class Surfaces implements SurfaceSource {
  /** How the pages of the next buffers lie. Where there is no such room they are single pages, as a kernel falls back to small orders. */
  layout: PageLayout;
  readonly #options: MachineOptions;
  readonly #driver: VirtioGpuDriver;
  readonly #gpu: PassthroughGpu;
  readonly #pixels: PageAllocator;
  readonly #vram: PageAllocator | null;

  /** @param vram the GPU's; null: it has none */
  constructor(options: MachineOptions, driver: VirtioGpuDriver, gpu: PassthroughGpu, pixels: PageAllocator, vram: PageAllocator | null) {
    this.#options = options;
    this.#driver = driver;
    this.#gpu = gpu;
    this.#pixels = pixels;
    this.#vram = vram;
    this.layout = options.layout;
  }

  /** A machine's memory was planned for heads of its options' size. */
  fits(mode: Mode): boolean {
    const { damage } = this.#options;
    if (damage !== null && (damage.x + damage.width > mode.width || damage.y + damage.height > mode.height)) return false;
    return frameBytes(mode) <= frameBytes(this.#options);
  }

  /** Pages in the layout of the moment, and what the host may hold of copies: so that no other buffer has to be moved for them. */
  hasRoom(mode: Mode): boolean {
    const { path, buffers, heads, maxHostmem } = this.#options;
    const bytes = pageAlign(frameBytes(mode));
    const planned = pageAlign(frameBytes(this.#options)) * buffers * heads;
    if (planned + bytes * buffers > maxHostmem) return false;
    const inVram = path !== 'copy' && path !== 'udmabuf';
    const inRam = path !== 'vfio';
    return (!inVram || this.#fit(this.#vram, bytes)) && (!inRam || this.#fit(this.#pixels, bytes));
  }

  make(mode: Mode): Surface[] {
    const surfaces: Surface[] = [];
    try {
      while (surfaces.length < this.#options.buffers) surfaces.push(this.#surface(mode));
    } catch (error) {
      // With a device that is lost everything goes at once.
      if (error instanceof AllocationError) this.free(surfaces);
      throw error;
    }
    for (const { target, readback } of surfaces) {
      // First touch now, not in the first frame.
      touch(target.pages);
      if (readback !== null) touch(readback);
    }
    return surfaces;
  }

  free(surfaces: readonly Surface[]): void {
    for (const { framebuffer, gpu } of surfaces) {
      const { resource } = framebuffer;
      if (resource.kind === 'imported') freeImported(this.#driver, resource);
      else this.#driver.freeDumb(resource);
      gpu?.destroy();
    }
  }

  #surface(mode: Mode): Surface {
    const { path } = this.#options;
    const { width, height } = mode;
    const stride = width * 4;
    if (path === 'copy') {
      const dumb = this.#dumb(mode);
      return { target: { pages: dumb.pages, width, height, stride }, framebuffer: framebuffer(dumb, mode), gpu: null, readback: null };
    }
    const gpu = this.#gpuBuffer(frameBytes(mode), path === 'udmabuf' ? 'system' : 'vram');
    const target = {
      get pages() {
        return gpu.pages;
      },
      width,
      height,
      stride,
    };
    try {
      if (path === 'readback-blob' || path === 'readback-copy') {
        const dumb = this.#dumb(mode);
        return { target, framebuffer: framebuffer(dumb, mode), gpu, readback: dumb.pages };
      }
      return { target, framebuffer: framebuffer(this.#import(gpu), mode), gpu, readback: null };
    } catch (error) {
      if (error instanceof AllocationError) gpu.destroy();
      throw error;
    }
  }

  #import(gpu: GpuBuffer): GuestResource {
    const dmabuf = gpu.export();
    const imported = importDmaBuf(this.#driver, dmabuf);
    // As a compositor closes the file descriptor: the import holds a reference of its own.
    dmabuf.put();
    if (!imported.ok) throw new AllocationError(`import failed: ${imported.why} (${imported.errno})`);
    this.#driver.commands.notify();
    return imported.value;
  }

  /** Whether a head's buffers of `bytes` each would find pages: takes them and gives them back. */
  #fit(allocator: PageAllocator | null, bytes: number): boolean {
    if (allocator === null) return false;
    const taken: SegmentList[] = [];
    for (let i = 0; i < this.#options.buffers; i++) {
      const pages = allocator.alloc(bytes, this.layout);
      if (pages !== null) taken.push(pages);
    }
    for (const pages of taken) allocator.free(pages);
    return taken.length === this.#options.buffers;
  }

  #gpuBuffer(bytes: number, placement: Placement): GpuBuffer {
    let created = this.#gpu.createBuffer(bytes, placement, this.layout);
    if (!created.ok && this.layout !== '4k') created = this.#gpu.createBuffer(bytes, placement, '4k');
    if (!created.ok) throw new AllocationError(`${created.why} (${created.errno})`);
    return created.value;
  }

  #dumb(mode: Mode): DumbBuffer {
    const { width, height } = mode;
    const pages = this.#pixels.alloc(pageAlign(frameBytes(mode)), this.layout);
    if (pages !== null) this.#pixels.free(pages);
    return this.#driver.createDumb(width, height, pages === null ? '4k' : this.layout);
  }
}

function touch(pages: SegmentList): void {
  for (let i = 0; i < pages.count; i++) {
    const { u32 } = pages.region[i];
    const first = pages.offset[i] / 4;
    for (let at = first; at < first + pages.bytes[i] / 4; at += PAGE_SIZE / 4) u32[at] = 0;
  }
}

function framebuffer(resource: GuestResource, mode: Mode): Framebuffer {
  const { width, height } = mode;
  return { resource, width, height, stride: width * 4, format: Format.B8G8R8X8, fence: null, overdue: null, reattached: false };
}
