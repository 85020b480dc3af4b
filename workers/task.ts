import type { MachinePlan } from '../core/machine/plan.ts';
import type { EncodeLink } from './encode/encode-thread.ts';
import type { ThreadUsage } from './thread-usage.ts';
import type { TransportTask } from './vhost-user/guest-transport.ts';

/** When a repetition warms up and measures: by time or by frames (over all heads), whichever is given. */
export interface Window {
  readonly warmupMs: number;
  readonly warmupFrames: number;
  /** 0: no limit by time. */
  readonly measureMs: number;
  /** 0: no limit by frames. */
  readonly measureFrames: number;
  /** The measured part is cut into this many windows of thread usage (allocation test); 1 ordinarily. */
  readonly usageWindows: number;
}

/** What a pool worker is asked to do. */
export interface SideTask {
  readonly role: 'guest' | 'host';
  readonly plan: MachinePlan;
  readonly window: Window;
  /** A `Remote`'s buffer, where the machine is to be changed while it runs. */
  readonly remote?: SharedArrayBuffer;
  /** The files of the plan's regions, in their order, where its memory is files. */
  readonly files?: readonly number[];
  /** The guest's, where its host is another process: what it talks to that by. */
  readonly transport?: TransportTask;
  /** The host's, with the sink `encode`: the encode thread that it presents to. */
  readonly encode?: EncodeLink;
}

export interface GuestReport {
  readonly role: 'guest';
  /** Measured: from this frame of each head … */
  readonly firstFrame: number[];
  /** … to before this one. */
  readonly endFrame: number[];
  /** Frames committed in all, per head, warm-up included: what copies are divided by. */
  readonly totalFrames: number[];
  /** ns on the session's timeline. */
  readonly startNs: number;
  readonly endNs: number;
  /** Frames committed in the measured part. */
  readonly frames: number;
  readonly failedFrames: number;
  /** Segments of the largest buffer that the host was given. */
  readonly segments: number;
  readonly usage: ThreadUsage[];
  /** Vblank wake-ups more than 1 ms late in the measured part. */
  readonly vblankLate: number;
  readonly spinNs: number;
  readonly sleepNs: number;
  /** Bytes of guest RAM and VRAM that buffers still take after the guest has freed them all: 0 unless something leaked. */
  readonly heldAfterFree: number;
  /** Likewise buffers of the guest's GPU. */
  readonly gpuBuffersAfterFree: number;
}

export interface HostReport {
  readonly role: 'host';
  readonly usage: ThreadUsage[];
  /** Vblank wake-ups more than 1 ms late in the measured part. */
  readonly vblankLate: number;
  readonly spinNs: number;
  readonly sleepNs: number;
  readonly fallbacks: { resourceId: number; reason: string }[];
  /** Bytes of host memory held after the guest's reset: 0 unless something leaked. */
  readonly budgetAfterReset: number;
  /** Resources, and segments of their backing, likewise. */
  readonly resourcesAfterReset: number;
  readonly segmentsAfterReset: number;
  readonly needsReset: boolean;
}
export type SideReport = GuestReport | HostReport;
