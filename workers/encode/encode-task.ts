import type { MessagePort } from 'node:worker_threads';
import type { EncoderName, MachineOptions } from '../../core/machine/options.ts';
import type { PictureShare } from '../../core/memory/picture-ring.ts';
import type { EncodeShare } from './link.ts';

/** What the encode thread wakes the host by. */
export type HostWake =
  /** The control block of a machine: its host's doorbell. */
  { readonly kind: 'doorbell'; readonly control: SharedArrayBuffer } | { readonly kind: 'eventfd'; readonly fd: number };

/** Encodes what the host offers. */
export interface ServeTask {
  readonly kind: 'serve';
  readonly share: EncodeShare;
  /** Images are announced there. */
  readonly port: MessagePort;
  readonly wake: HostWake;
  /** Of the session's timeline: `monotonicNowNs()` at its start. */
  readonly originNs: number;
  /** Frames a second and head at most; null: no bound. */
  readonly maxRefreshHz: number | null;
  readonly encoder: EncoderName;
  /** Whether software encodes what the hardware refuses, and a `note` says so; else the thread fails. */
  readonly mayFallBack: boolean;
  /** The packets are written there, one after the other (of head 0); null: nowhere. */
  readonly output: string | null;
  /** Each packet is posted there, a `StreamPacket`; null: nowhere. */
  readonly packets: MessagePort | null;
}

/** A packet, as it is posted to whoever streams it. */
export interface StreamPacket {
  readonly head: number;
  /** Of the guest. */
  readonly frame: number;
  readonly key: boolean;
  /** Pixels. */
  readonly width: number;
  readonly height: number;
  /** Room for a message's header, then the packet: H.264 as of its Annex B. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}
/** Bytes of that room. */
export const PACKET_ROOM = 24;

/** Encodes one picture again and again: what the encoder can do by itself. */
export interface AloneTask {
  readonly kind: 'alone';
  /** Of the machine that it is held against: its encoder, its size, and what is in a frame. */
  readonly options: MachineOptions;
  readonly forMs: number;
  /** The first picture of what it shows; absent: it draws by itself. */
  readonly pictures?: PictureShare;
}

export type EncodeTask = ServeTask | AloneTask;

export interface AloneReport {
  readonly frames: number;
  readonly ns: number;
}

/** What the thread tells. */
export type EncodeNews =
  | { readonly kind: 'ready' }
  /** A line for who runs it. */
  | { readonly kind: 'note'; readonly text: string }
  | { readonly kind: 'alone'; readonly report: AloneReport }
  | { readonly kind: 'failed'; readonly message: string };
