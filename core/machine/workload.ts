import type { TraceRegion } from '../trace/trace.ts';
import type { Path } from './options.ts';

/** A chain that a workload sends, as it was recorded; fence ids are given out anew. */
export interface WorkloadChain {
  /** Line of the trace. */
  readonly line: number;
  readonly queue: 0 | 1;
  readonly indirect: boolean;
  /** Lengths of the descriptors, bytes. */
  readonly readable: readonly number[];
  readonly writable: readonly number[];
  readonly request: Uint8Array;
}

/** A chain of the part that is repeated. */
export interface WorkloadStep extends WorkloadChain {
  /** When it is sent, ns since the cycle's start. */
  readonly dueNs: number;
  /** The frame that it belongs to, −1: none. */
  readonly frame: number;
}

/** One page flip, or one more flush of what is shown already. */
export interface WorkloadFrame {
  /** Its first and its last step; the last one is the FLUSH. */
  readonly first: number;
  readonly last: number;
  readonly fenced: boolean;
  /** What it shows, and where the pixels of that lie. */
  readonly image: number;
  readonly buffer: number;
  /** Bytes that its TRANSFERs copy; 0 of a blob's. */
  readonly transferBytes: number;
}

/** A rectangle of a buffer that a frame shows. */
export interface WorkloadImage {
  readonly buffer: number;
  /** Pixels. */
  readonly width: number;
  readonly height: number;
  /** Bytes; the offset is the first pixel's. */
  readonly stride: number;
  readonly offset: number;
}

export interface WorkloadBuffer {
  readonly resource: number;
  readonly kind: '2d' | 'blob';
  readonly bytes: number;
  /** Guest-physical addresses and bytes, as the guest has named them. */
  readonly entries: readonly { readonly address: number; readonly length: number }[];
  /** Whether they lie in guest RAM alone, in one device's region alone, or otherwise. */
  readonly lies: 'ram' | 'device' | 'mixed';
}

/** What a recorded guest does, made repeatable: plain data, posted to the thread that plays it. */
export interface Workload {
  /** Feature bits that the guest agreed to. */
  readonly features: { readonly lo: number; readonly hi: number };
  /** The guest's memory while it shows these frames. */
  readonly regions: readonly TraceRegion[];
  /** By queue: its size, and the descriptors of its longest indirect chain. */
  readonly queueSize: readonly number[];
  readonly tableDescriptors: readonly number[];
  /** Sent first, each when the one before is answered. */
  readonly setUp: readonly WorkloadChain[];
  /** Sent in their order, not before their time, again and again. */
  readonly steps: readonly WorkloadStep[];
  /** From one beginning to the next, ns. */
  readonly cycleNs: number;
  readonly frames: readonly WorkloadFrame[];
  readonly images: readonly WorkloadImage[];
  readonly buffers: readonly WorkloadBuffer[];
  /** Whether each frame can carry its number in its pixels, for a sink that looks for torn ones. */
  readonly stamped: boolean;
  /** Whether what its frames copy is known to the byte: nothing else in it transfers pixels. */
  readonly countable: boolean;
}

/** The path whose work it is: by where the pixels of its first frame lie. */
export function workloadPath({ buffers, frames }: Workload): Path {
  const { kind, lies } = buffers[frames[0].buffer];
  return kind === '2d' ? 'copy' : lies === 'device' ? 'vfio' : 'udmabuf';
}

/** Frames a second, as they were recorded. */
export const workloadRate = ({ frames, cycleNs }: Workload): number => (frames.length / cycleNs) * 1e9;

const MIB = 2 ** 20;

/** Whether a host of these limits shows the buffer where it lies (drivers/dma-buf/udmabuf.c; a VFIO device has no such limits). */
export function importable(buffer: WorkloadBuffer, limits: { readonly listLimit: number; readonly sizeLimitMb: number }): boolean {
  if (buffer.kind === '2d' || buffer.lies === 'mixed') return false;
  if (buffer.lies === 'device') return true;
  return (
    buffer.entries.length <= limits.listLimit && buffer.entries.reduce((sum, { length }) => sum + length, 0) <= limits.sizeLimitMb * MIB
  );
}

/** What a host of these limits does for the first `count` frames: bytes that it copies, and frames that it shows from the guest's memory. */
export function expectedWork(
  { frames, images, buffers }: Workload,
  limits: { readonly listLimit: number; readonly sizeLimitMb: number },
  count: number,
): { bytes: number; imported: number } {
  const imports = buffers.map((buffer) => importable(buffer, limits));
  let bytes = 0;
  let imported = 0;
  for (let i = 0; i < count; i++) {
    const { buffer, image, transferBytes } = frames[i % frames.length];
    const { width, height } = images[image];
    bytes += transferBytes;
    if (imports[buffer]) imported++;
    else if (buffers[buffer].kind === 'blob') bytes += width * 4 * height;
  }
  return { bytes, imported };
}

/** Bytes of pixels that are used: guest RAM, VRAM and the host's copies. A region's other pages take nothing. */
export function workloadMemory(
  { buffers }: Workload,
  limits: { readonly listLimit: number; readonly sizeLimitMb: number },
): { ram: number; vram: number; host: number } {
  const need = { ram: 0, vram: 0, host: 0 };
  for (const buffer of buffers) {
    if (buffer.lies === 'device') need.vram += buffer.bytes;
    else need.ram += buffer.bytes;
    if (!importable(buffer, limits)) need.host += buffer.bytes;
  }
  return need;
}
