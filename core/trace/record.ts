/**
 * A command trace: what a guest's driver wrote into its virtqueues, chain by chain. JSON Lines; the first line is the header,
 * each other line one record. Responses and pixels are not recorded.
 */

/** The first line. */
export interface TraceHeader {
  trace: 'virtio-gpu-commands';
  version: 1;
  /** Kernel and driver that wrote the commands. */
  guest?: string;
  /** What carried them. */
  transport?: string;
  /** What the guest was doing. */
  workload?: string;
  /** The device's configuration: its outputs and their size, px. */
  config: { num_scanouts: number; width: number; height: number };
}

/** The feature bits that guest and device agreed on, as two u32. Bit 30 is vhost-user's own (protocol features), not the device's. */
export interface FeaturesRecord {
  kind: 'features';
  lo: number;
  hi: number;
}

/** One region of guest-physical memory: address and size in bytes. `device`: a PCI device's BAR, not RAM. */
export interface TraceRegion {
  gpa: number;
  size: number;
  kind: 'ram' | 'device';
}

/** The guest's memory, each time that it was set; replaces the one before. */
export interface RegionsRecord {
  kind: 'regions';
  regions: TraceRegion[];
}

/** One descriptor chain. */
export interface ChainRecord {
  kind: 'chain';
  /** µs since the recording began. */
  t: number;
  /** 0: control, 1: cursor */
  queue: 0 | 1;
  /** Whether the chain came through an indirect table. */
  indirect: boolean;
  /** Lengths of the readable descriptors, bytes; their sum is `request.length`. */
  readable: number[];
  /** Lengths of the writable descriptors, bytes. */
  writable: number[];
  /** The readable bytes, one descriptor after another. */
  request: Uint8Array;
}

export type TraceRecord = FeaturesRecord | RegionsRecord | ChainRecord;

export interface Trace {
  header: TraceHeader;
  records: TraceRecord[];
}

/** Characters of a message's middle part. */
const MOST_QUOTED = 200;

/** A trace that can't be used; the message names the line and what to do. */
export class TraceError extends Error {
  /** The line at fault, counted from 1. */
  readonly line: number;

  constructor(line: number, what: string, advice: string) {
    // A line of a broken file may be megabytes long, and messages quote it.
    super(`trace line ${line}: ${what.length > MOST_QUOTED ? `${what.slice(0, MOST_QUOTED)}…` : what}; ${advice}`);
    this.name = 'TraceError';
    this.line = line;
  }
}
