import { fstatSync, readFileSync, statfsSync } from 'node:fs';
import { type Errno, type Failure, fail } from '../../core/dmabuf/errno.ts';
import { createUdmabuf, Memfd, UDMABUF_DEFAULTS, type UdmabufLimits } from '../../core/dmabuf/udmabuf.ts';
import type { SideBySide } from '../../core/host/options.ts';
import type { MemoryRegion } from '../../core/memory/region.ts';
import type { SegmentList } from '../../core/memory/segments.ts';
import { type Libc, MAP_SHARED, NativeError, Seal } from './libc.ts';
import type { BackingFile } from './mapping.ts';
import { udmabufLimits } from './udmabuf-device.ts';
import { ViewMemory } from './view-memory.ts';

/** include/uapi/linux/udmabuf.h: _IOW('u', 0x43, struct udmabuf_create_list). */
export const UDMABUF_CREATE_LIST = 0x40087543;
const UDMABUF_FLAGS_CLOEXEC = 1;
/** Words of struct udmabuf_create_list {flags, count} and of each struct udmabuf_create_item {memfd, pad, u64 offset, u64 size}. */
const HEAD_WORDS = 2;
const ITEM_WORDS = 6;
const TWO_32 = 2 ** 32;

/** include/uapi/linux/dma-buf.h: _IOW('b', 0, struct dma_buf_sync {u64 flags}). */
export const DMA_BUF_IOCTL_SYNC = 0x40086200;
const SYNC_READ = 1;
const SYNC_END = 4;

/** statfs(2)'s f_type of the files that the driver takes. */
const FILE_SYSTEMS: Readonly<Record<number, 'shmem' | 'hugetlbfs'>> = { 16914836: 'shmem', 2508478710: 'hugetlbfs' };

/** Of the file descriptors that a process may have, the part that views take at most. */
const SHARE_OF_FILES = 0.5;
const USUAL_MAX_FILES = 1024;

/** What it calls of the C library. */
export type UdmabufCalls = Pick<Libc, 'addressOf' | 'close' | 'ioctl' | 'mapZeros' | 'mmapFixed' | 'seals'>;

export interface UdmabufOptions {
  /** What shows those that the kernel refuses, or that have no file; absent: a refusal is the import's. */
  readonly otherwise?: SideBySide;
  readonly memories?: ViewMemory;
  /** The driver's limits now, for people: the kernel is asked in any case. */
  readonly limits?: () => UdmabufLimits;
  /** Views at a time. */
  readonly mostViews?: number;
}

/**
 * Scattered pages of files as one range by the kernel's udmabuf driver (drivers/dma-buf/udmabuf.c): a dma-buf of the pages,
 * mapped. It pins them, and costs a map and a file descriptor a view, however many segments there are.
 */
export class UdmabufSideBySide implements SideBySide {
  readonly #libc: UdmabufCalls;
  readonly #device: number;
  readonly #fileOf: (region: MemoryRegion) => BackingFile | null;
  readonly #otherwise: SideBySide | null;
  readonly #memories: ViewMemory;
  readonly #limits: () => UdmabufLimits;
  readonly #mostViews: number;
  /** The dma-buf of each view. */
  readonly #dmabufs = new Map<MemoryRegion, number>();
  readonly #sync = new Uint8Array(8);
  #list = new Uint32Array(HEAD_WORDS + 16 * ITEM_WORDS);

  /** @param device /dev/udmabuf, open for reading and writing; the caller's to close @param fileOf the file behind a region's bytes */
  constructor(libc: UdmabufCalls, device: number, fileOf: (region: MemoryRegion) => BackingFile | null, options: UdmabufOptions = {}) {
    this.#libc = libc;
    this.#device = device;
    this.#fileOf = fileOf;
    this.#otherwise = options.otherwise ?? null;
    this.#memories = options.memories ?? new ViewMemory(libc);
    this.#limits = options.limits ?? kernelLimits;
    this.#mostViews = options.mostViews ?? Math.floor(maxFiles() * SHARE_OF_FILES);
  }

  /** Views there are, of the driver's. */
  get count(): number {
    return this.#dmabufs.size;
  }

  /** @returns a failure as the model's udmabuf answers (core/dmabuf/udmabuf.ts); ENOMEM, EMFILE and ENFILE, of which it has no limits */
  map(pages: SegmentList): MemoryRegion | Failure | null {
    const made = this.#hasFiles(pages) ? this.#map(pages) : null;
    if (made !== null && typeof made !== 'string' && !('errno' in made)) return made;
    if (this.#otherwise !== null) return this.#otherwise.map(pages);
    return typeof made === 'string' ? this.#refusal(made, pages) : made;
  }

  unmap(view: MemoryRegion): void {
    const dmabuf = this.#dmabufs.get(view);
    if (dmabuf === undefined) {
      this.#otherwise?.unmap(view);
      return;
    }
    this.#dmabufs.delete(view);
    this.#synchronise(dmabuf, SYNC_END | SYNC_READ);
    this.#memories.end(view.memory, view.size);
    this.#libc.close(dmabuf);
  }

  /** Ends what views are left, but those shown otherwise. Nobody may read them any more. */
  close(): void {
    for (const view of [...this.#dmabufs.keys()]) this.unmap(view);
  }

  /** A device's memory is not udmabuf's, whatever file it lies in. */
  #hasFiles(pages: SegmentList): boolean {
    for (let i = 0; i < pages.count; i++) if (pages.region[i].kind !== 'ram' || this.#fileOf(pages.region[i]) === null) return false;
    return true;
  }

  /** @returns the errno's name where the driver refuses */
  #map(pages: SegmentList): MemoryRegion | Failure | string {
    if (this.#dmabufs.size >= this.#mostViews) return fail('EMFILE', `${this.#mostViews} udmabufs are open already`);
    const made = this.#libc.ioctl(this.#device, UDMABUF_CREATE_LIST, this.#request(pages));
    if (typeof made === 'string') return made;
    const memory = this.#memories.take(pages.length);
    if (memory === null) {
      this.#libc.close(made);
      return fail('ENOMEM', `no address space for ${pages.length} bytes`);
    }
    try {
      this.#libc.mmapFixed(this.#memories.addressOf(memory), pages.length, MAP_SHARED, made, 0);
      // All of the view's life is one access: what is written meanwhile, CPUs write, and other devices have no part in it.
      const fault = this.#synchronise(made, SYNC_READ);
      if (fault !== null) throw new NativeError('DMA_BUF_IOCTL_SYNC', fault);
    } catch (error) {
      this.#memories.end(memory, pages.length);
      this.#libc.close(made);
      if (error instanceof NativeError) return fail(known(error.code), error.message);
      throw error;
    }
    const view = this.#memories.region(memory, pages.length);
    this.#dmabufs.set(view, made);
    return view;
  }

  #request(pages: SegmentList): Uint8Array {
    const { count } = pages;
    const words = HEAD_WORDS + count * ITEM_WORDS;
    if (this.#list.length < words) this.#list = new Uint32Array(2 * words);
    const list = this.#list;
    list[0] = UDMABUF_FLAGS_CLOEXEC;
    list[1] = count;
    for (let i = 0; i < count; i++) {
      const file = this.#fileOf(pages.region[i]);
      const offset = (file?.offset ?? 0) + pages.offset[i];
      const at = HEAD_WORDS + i * ITEM_WORDS;
      list[at] = file?.fd ?? -1;
      list[at + 2] = offset;
      list[at + 3] = offset / TWO_32;
      list[at + 4] = pages.bytes[i];
      list[at + 5] = pages.bytes[i] / TWO_32;
    }
    return new Uint8Array(list.buffer, 0, words * 4);
  }

  /** @returns null, or an errno name: before reading caches may have to be told (Documentation/driver-api/dma-buf.rst) */
  #synchronise(dmabuf: number, flags: number): string | null {
    this.#sync[0] = flags;
    for (;;) {
      const answer = this.#libc.ioctl(dmabuf, DMA_BUF_IOCTL_SYNC, this.#sync);
      if (typeof answer !== 'string') return null;
      if (answer !== 'EAGAIN' && answer !== 'EINTR') return answer;
    }
  }

  /** The model's refusal where it refuses these pages of these files as the kernel does, for it names the rule; else the errno. */
  #refusal(errno: string, pages: SegmentList): Failure {
    const model = createUdmabuf(
      this.#limits(),
      Array.from({ length: pages.count }, (_, i) => {
        const region = pages.region[i];
        return { memfd: this.#modelOf(region), offset: pages.offset[i], size: pages.bytes[i] };
      }),
    );
    if (model.ok) model.value.put();
    else if (model.errno === errno) return model;
    return fail(known(errno), `UDMABUF_CREATE_LIST answers ${errno} to ${pages.count} items, ${pages.length} bytes`);
  }

  /** The file behind a region, as the model has it; null: there is none. */
  #modelOf(region: MemoryRegion): Memfd | null {
    const file = this.#fileOf(region);
    if (file === null) return null;
    try {
      const seals = this.#libc.seals(file.fd);
      return new Memfd(region, {
        kind: FILE_SYSTEMS[statfsSync(`/proc/self/fd/${file.fd}`).type] ?? 'other',
        seals: {
          shrink: (seals & Seal.SHRINK) !== 0,
          write: (seals & Seal.WRITE) !== 0,
          futureWrite: (seals & Seal.FUTURE_WRITE) !== 0,
        },
        size: Math.max(0, Math.min(region.size, fstatSync(file.fd).size - file.offset)),
      });
    } catch {
      return null;
    }
  }
}

/** Errors of the kernel's that the model has by the same name; others mean that this kernel cannot do it. */
const KNOWN: readonly Errno[] = ['EBADF', 'EBADFD', 'EINVAL', 'EMFILE', 'ENFILE', 'ENOMEM'];
const known = (errno: string): Errno => KNOWN.find((name) => name === errno) ?? 'EOPNOTSUPP';

function kernelLimits(): UdmabufLimits {
  const { listLimit, sizeLimitMb } = udmabufLimits();
  return { listLimit: listLimit ?? UDMABUF_DEFAULTS.listLimit, sizeLimitMb: sizeLimitMb ?? UDMABUF_DEFAULTS.sizeLimitMb };
}

/** RLIMIT_NOFILE. */
function maxFiles(): number {
  const limit = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
  return limit === null ? USUAL_MAX_FILES : Number(limit[1]);
}
