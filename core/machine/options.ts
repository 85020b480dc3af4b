import type { PageLayout } from '../memory/allocator.ts';
import type { Content } from './content.ts';
import type { Fault } from './faults.ts';

/**
 * How a frame gets from the guest's GPU to the host's sink. With the blob feature: `vfio` (imported from the GPU's
 * BAR), `udmabuf` (imported from guest RAM), `readback-blob` (read back into a dumb guest blob, which is imported).
 * Without: `copy` (drawn into a dumb buffer, TRANSFER), `readback-copy` (read back into it, TRANSFER).
 */
export const PATHS = ['vfio', 'udmabuf', 'readback-blob', 'copy', 'readback-copy'] as const;
export type Path = (typeof PATHS)[number];

/** CPU copies of every pixel that a path makes before the sink. */
export const COPIES: Readonly<Record<Path, number>> = { vfio: 0, udmabuf: 0, 'readback-blob': 1, copy: 1, 'readback-copy': 2 };

export const pathUsesBlob = (path: Path): boolean => path === 'vfio' || path === 'udmabuf' || path === 'readback-blob';

/** What the guest's memory is: shared between threads alone, or also a sealed file, as other processes could have it. */
export const MEMORIES = ['shared', 'memfd'] as const;
export type Memory = (typeof MEMORIES)[number];

/**
 * How the scattered pages of an import, where they are files', become one range for whoever reads them: by /dev/udmabuf, whose
 * refusal refuses the import; remapped by mremap(2), else piece by piece; by their list, piece by piece; `auto`: the first of
 * these that can.
 */
export const IMPORT_BY = ['auto', 'udmabuf', 'remap', 'list'] as const;
export type ImportBy = (typeof IMPORT_BY)[number];

/** GPUs' encoders: VAAPI (Intel, AMD), NVENC (NVIDIA). */
export const HARDWARE = ['vaapi', 'nvenc'] as const;
export type Hardware = (typeof HARDWARE)[number];
/** By which a sink `encode` makes H.264. */
export const ENCODERS = ['software', ...HARDWARE] as const;
export type EncoderName = (typeof ENCODERS)[number];

/** Layouts of the virtqueues. */
export const RINGS = ['split', 'packed'] as const;
export type Ring = (typeof RINGS)[number];

/** What a machine is: plain data, posted to the threads that run it. */
export interface MachineOptions {
  readonly path: Path;
  /** Pixels. */
  readonly width: number;
  readonly height: number;
  /** Buffers a head, ≥ 1. */
  readonly buffers: number;
  /** How the pages of guest RAM and VRAM lie. */
  readonly layout: PageLayout;
  /** Scanouts, 1 … 16. */
  readonly heads: number;
  /** Guest vblank and sink rate, Hz; null: as fast as the host answers. */
  readonly rateHz: number | null;
  /** `content`: what `content` names. */
  readonly renderer: 'stamp' | 'paint' | 'content';
  /** With the renderer `content`. */
  readonly content?: Content;
  /** In the renderer's place a moving test card with the frame's number and a clock, and a cursor that moves: for people. */
  readonly card?: boolean;
  /** `encode` reads on a thread of its own, which whoever runs the machine starts. */
  readonly sink: 'latch' | 'verify' | 'display' | 'encode';
  /** From when the sink begins to show a frame to its last read, µs. */
  readonly scanoutUs: number;
  /** The sink's vblank after the guest's, as a part of the period, 0 … 1. */
  readonly sinkPhase: number;
  /** verify: CRC of one frame in N; 0: none. */
  readonly crcEvery: number;
  /** encode: frames a second and head that are encoded at most; null: as many as it can. */
  readonly maxRefreshHz: number | null;
  /** encode: by what. */
  readonly encoder: EncoderName;
  /** What the host does when an import is impossible. */
  readonly policy: 'copy' | 'error';
  readonly profile: 'series' | 'qemu-10.2';
  readonly listLimit: number;
  readonly sizeLimitMb: number;
  readonly maxEntries: number;
  /** Bytes. */
  readonly maxHostmem: number;
  /** Linux without blob flips without waiting. */
  readonly linuxPacing: boolean;
  /** Without blob: each head's first frame is shown; after it only TRANSFER_TO_HOST_2D is sent. What copying costs without showing. */
  readonly transferOnly: boolean;
  /** false: negative control, flushes are answered before the sink has read. */
  readonly fences: boolean;
  /** Frames drawn between moves of a buffer VRAM ↔ system memory; 0: never. */
  readonly migrateEvery: number;
  /** There is room for a buffer in the other placement, too, so that one can be moved when somebody asks for it. */
  readonly movable?: boolean;
  /** Each frame's damage, when the framebuffer stays the same (one buffer); null: whole frames. */
  readonly damage: { readonly x: number; readonly y: number; readonly width: number; readonly height: number } | null;
  readonly seed: number;
  /** The most that a thread spins before it sleeps, µs. */
  readonly spinUs: number;
  /** Name of the copy kernel. */
  readonly copier: string;
  /** Of each copied frame's bytes, copied once more and not charged: a slowdown of known size, to be found by a comparison. */
  readonly handicapPercent: number;
  readonly ring: Ring;
  readonly memory: Memory;
  readonly importBy: ImportBy;
  /** VIRTIO_F_IN_ORDER: buffers return in the order they were sent. */
  readonly inOrder: boolean;
  /** Frame log rows a head, a power of two. */
  readonly logCapacity: number;
  /** Injected on purpose; none: a run whose figures may be believed. */
  readonly faults: readonly Fault[];
}

export const DEFAULT_OPTIONS: MachineOptions = {
  path: 'udmabuf',
  width: 1920,
  height: 1080,
  buffers: 2,
  layout: '64k',
  heads: 1,
  rateHz: null,
  renderer: 'stamp',
  sink: 'latch',
  scanoutUs: 0,
  sinkPhase: 0.5,
  crcEvery: 0,
  maxRefreshHz: 30,
  encoder: 'software',
  policy: 'copy',
  profile: 'series',
  listLimit: 1024,
  sizeLimitMb: 64,
  maxEntries: 16384,
  maxHostmem: 1024 * 1024 * 1024,
  linuxPacing: false,
  transferOnly: false,
  fences: true,
  migrateEvery: 0,
  damage: null,
  seed: 1,
  spinUs: 50,
  copier: 'wasm-memory-copy',
  handicapPercent: 0,
  ring: 'split',
  memory: 'shared',
  importBy: 'auto',
  inOrder: false,
  logCapacity: 65536,
  faults: [],
};
