import type { MachinePlan } from '../../core/machine/plan.ts';
import type { EncodeLink } from '../encode/encode-thread.ts';
import type { DeviceRange } from './guest-memory.ts';

/** What the thread of a vhost-user host is given. */
export interface HostTask {
  readonly plan: MachinePlan;
  /** Path of the socket to listen on, or to connect to. */
  readonly socket: string;
  /** Whether the front end is the one that listens. */
  readonly connect: boolean;
  /** Parts of guest-physical address space that are PCI devices' memory. */
  readonly devices: readonly DeviceRange[];
  /** Whether memory that the front end can shrink is taken. */
  readonly unsealed: boolean;
  /** Whether it ends with its first session. */
  readonly once: boolean;
  /** What of a frame goes through the front end's GPU socket, in place of the plan's sink: its pixels, or where they lie. null: nothing. */
  readonly send: 'pixels' | 'memory' | null;
  /** What the guest has set up is kept there, for a host that is started again; null: it is not. */
  readonly state: string | null;
  /** A trace of what the guest sends is written there; null: none. */
  readonly record: string | null;
  /** A line of JSON for each flush is written there; null: none. */
  readonly frames: string | null;
}

/** What the thread starts with. */
export interface HostStart {
  readonly task: HostTask;
  /** An eventfd of whoever started it: wakes the thread when a stop was asked for, or another display. */
  readonly wakeFd: number;
  /** A `Remote`'s buffer: the displays. */
  readonly remote: SharedArrayBuffer;
  /** The encode thread that frames are presented to, in place of the plan's sink; null: none. */
  readonly encode: EncodeLink | null;
  /** A `SignalWatch`'s buffer. */
  readonly watched: SharedArrayBuffer;
}

/** What the thread tells. */
export type HostNews =
  /** The socket is there: a front end may connect. Or it connects to one. */
  | { readonly kind: 'listening' | 'connecting' }
  /** A front end; `process`: its id, 0: the system does not say. */
  | { readonly kind: 'connected'; readonly process: number }
  /** The session's end and why; null: it was asked to stop. */
  | { readonly kind: 'disconnected'; readonly why: string | null; readonly commands: number; readonly errors: number }
  /** A line for people. */
  | { readonly kind: 'line'; readonly text: string }
  | { readonly kind: 'ended' }
  | { readonly kind: 'failed'; readonly message: string };
