/** What a view's server tells its pages beside a stream's messages, and what they want. */

/** How the running machine can be changed: each a word as the command line has it. */
export const WISHES = ['path', 'resolution', 'rate', 'layout'] as const;
export type WishName = (typeof WISHES)[number];
export type Wish = Readonly<Record<WishName, string>>;

/** Bytes copied on a frame's way, or of them a second; `migrate` moves a buffer, `encoder` is what the encoder's library takes for itself. */
export interface CopiedRates {
  readonly readback: number;
  readonly transfer: number;
  readonly fallback: number;
  readonly upload: number;
  readonly migrate: number;
  readonly gather: number;
  readonly encoder: number;
}

/**
 * Since the figures before these, unless said otherwise. Of another program's guest times begin when the host took a frame's first
 * command, and what nobody tells the host is null.
 */
export interface ViewFigures {
  /** Frames a second, over all heads: of the guest (another program's: its flushes), that the sink began to show, that were encoded. */
  readonly guestFps: number;
  readonly presentedFps: number;
  readonly encodedFps: number;
  /** Submission until the sink began to show it, ms, of the newest frames; null: none. */
  readonly p50: number | null;
  readonly p99: number | null;
  /** Bytes a second that the path copied before the encoder, moves and cursors left out. */
  readonly copied: number;
  /** Bytes a second. */
  readonly by: CopiedRates;
  /** Frames a second that were read from the guest's own pages, and those of them that lie in a device's memory. */
  readonly imported: number;
  readonly importedDevice: number;
  /** Buffers that could not be imported and are copied, of the guest that is served. */
  readonly importsRefused: number;
  /** Medians of the newest frames, ms; null: none. Drawing; submission until taken, until shown, until its fence or answer; encoding. */
  readonly stages: {
    readonly draw: number | null;
    readonly pickup: number | null;
    readonly present: number | null;
    readonly answer: number | null;
    readonly encode: number | null;
  };
  /** Of one processor's time, 0 … 1; null: the system does not say. */
  readonly cpu: { readonly guest: number | null; readonly host: number | null; readonly encoder: number };
  /** Buffers moved, of the machine, ever. */
  readonly moves: number | null;
}

/** `running`, or what happens meanwhile: another machine starts. */
export type ViewPhase = 'starting' | 'running';

/** Where a move stands that was asked for: `out` and `back` are on their way. */
export type Migration = 'none' | 'out' | 'away' | 'back' | 'refused';

export type ViewMessage =
  /** What runs, whenever that changes. `canMove`: whether the path has a buffer of the GPU. */
  | {
      readonly type: 'machine';
      readonly wish: Wish;
      readonly phase: ViewPhase;
      readonly canMove: boolean;
      readonly migration: Migration;
    }
  /** In its place where the guest is another program's, whenever any of it changes. */
  | {
      readonly type: 'guest';
      /** Whether a front end is connected, and how many were so far. */
      readonly connected: boolean;
      readonly sessions: number;
      /** What each head is offered: WIDTHxHEIGHT, or off. */
      readonly displays: readonly string[];
      /** Whether ranges of PCI devices' memory are known. */
      readonly hasDevices: boolean;
    }
  | ({ readonly type: 'meter' } & ViewFigures)
  /** What this client wanted is not done, and why. */
  | { readonly type: 'refused'; readonly why: string };
