import { Counters } from '../measure/counters.ts';
import { FrameLog } from '../measure/frame-log.ts';
import { pageAlign } from '../memory/address.ts';
import { Ledger } from '../memory/ledger.ts';
import type { PictureShare } from '../memory/picture-ring.ts';
import { createSharedMemory, type RegionPlan } from '../memory/region.ts';
import { DeviceRegisters } from '../ring/registers.ts';
import { planContent } from './content.ts';
import { faultsMove } from './faults.ts';
import { COPIES, type MachineOptions, pathUsesBlob } from './options.ts';
import type { Workload } from './workload.ts';

const MIB = 1024 * 1024;
/** Guest RAM ends here and goes on above 4 GiB: the hole of PCI devices and firmware. */
const HIGH_RAM = 4 * 1024 * MIB;
/** A 64-bit BAR's place. */
const BAR = 256 * 1024 * MIB;

/** Names of the regions; a machine has those that its path needs. */
export const RegionName = { lowRam: 'ram-low', highRam: 'ram-high', vram: 'vram' } as const;
export const GPU_NAME = 'gpu0';
export const VRAM_BAR = 0;

/** A machine's shared memory and options: posted whole to the threads that run it. */
export interface MachinePlan {
  readonly options: MachineOptions;
  readonly regions: readonly RegionPlan[];
  /** DeviceRegisters, then the session's own words. */
  readonly control: SharedArrayBuffer;
  readonly guestCounters: SharedArrayBuffer;
  readonly hostCounters: SharedArrayBuffer;
  readonly guestLedger: SharedArrayBuffer;
  readonly hostLedger: SharedArrayBuffer;
  readonly frameLog: SharedArrayBuffer;
  /** `monotonicNowNs()` at the session's start. */
  readonly originNs: number;
  /** What its guest plays; absent: the guest is this project's own. */
  readonly workload?: Workload;
  /** The decoded pictures that its guest shows; absent: it draws by itself. */
  readonly content?: PictureShare;
}

/** Words of the control block after the registers. */
export const SessionWord = {
  /** 0 warm-up, 1 measuring, 2 draining. Written by the guest's loop. */
  phase: DeviceRegisters.words,
  /** Threads to terminate: bit 0 the guest's, bit 1 the host's. Set by the sides, taken by the supervisor. */
  kill: DeviceRegisters.words + 1,
  /** Ids of the threads that run the guest and the host. */
  guestThread: DeviceRegisters.words + 2,
  hostThread: DeviceRegisters.words + 3,
  /** Whether the guest stops by itself or is ended: workers/guest-end.ts. */
  guestEnd: DeviceRegisters.words + 4,
  /** The system's ids of these threads; 0: it does not say. */
  guestTask: DeviceRegisters.words + 5,
  hostTask: DeviceRegisters.words + 6,
} as const;
const SESSION_WORDS = 32;

export const frameBytes = (options: { width: number; height: number }): number => options.width * 4 * options.height;

/** Bytes of pixels that a machine of these options needs: guest RAM, VRAM and the host's copies. */
export function memoryNeeded(options: MachineOptions): { ram: number; vram: number; host: number } {
  const buffer = pageAlign(frameBytes(options));
  const all = buffer * options.buffers * options.heads;
  const { path } = options;
  const moves = options.migrateEvery > 0 || options.movable === true || faultsMove(options.faults);
  const inVram = path === 'vfio' || path === 'readback-blob' || path === 'readback-copy';
  const inRam = path !== 'vfio' || moves;
  return {
    ram: inRam ? all : 0,
    vram: inVram || moves ? all : 0,
    host: pathUsesBlob(path) ? 0 : all,
  };
}

/**
 * Shared memory for one machine.
 * @throws RangeError naming the option if a region would pass 4 GiB, the size of the largest shared memory
 */
export function planMachine(options: MachineOptions, originNs: number): MachinePlan {
  const need = memoryNeeded(options);
  const entries = Math.ceil((frameBytes(options) / 4096) * 16 * 2);
  const low = pageAlign(4 * MIB + entries * 2);
  // Scattered layouts and moves need room to choose from.
  const high = need.ram === 0 ? 0 : pageAlign(need.ram * 1.5 + 8 * MIB);
  const vram = need.vram === 0 ? 0 : pageAlign(need.vram * 1.5 + 8 * MIB);
  for (const [name, bytes] of [
    ['guest RAM', high],
    ['VRAM', vram],
  ] as const) {
    if (bytes > 4 * 1024 * MIB) {
      throw new RangeError(
        `${options.width}x${options.height} with ${options.buffers} buffers on ${options.heads} heads needs ${Math.ceil(bytes / MIB)} MiB of ${name}; a region holds 4096 MiB at most`,
      );
    }
  }
  const regions: RegionPlan[] = [
    { id: 0, name: RegionName.lowRam, kind: 'ram', gpa: 0, size: low, device: null, bar: null, memory: createSharedMemory(low) },
  ];
  if (high > 0) {
    regions.push({
      id: regions.length,
      name: RegionName.highRam,
      kind: 'ram',
      gpa: HIGH_RAM,
      size: high,
      device: null,
      bar: null,
      memory: createSharedMemory(high),
    });
  }
  if (vram > 0) {
    regions.push({
      id: regions.length,
      name: RegionName.vram,
      kind: 'device',
      gpa: BAR,
      size: vram,
      device: GPU_NAME,
      bar: VRAM_BAR,
      memory: createSharedMemory(vram),
    });
  }
  const plan = planParts(options, regions, originNs);
  return options.content === undefined ? plan : { ...plan, content: planContent(options.content, options) };
}

/** What a machine shares beside its memory; for a host alone, whose guest brings its own, there are no regions. */
export function planParts(options: MachineOptions, regions: readonly RegionPlan[], originNs: number): MachinePlan {
  const control = new SharedArrayBuffer((DeviceRegisters.words + SESSION_WORDS) * 4);
  let mask = 0;
  for (const region of regions) mask |= 1 << region.id;
  new DeviceRegisters(new Int32Array(control)).presentMask = mask;
  return {
    options,
    regions,
    control,
    guestCounters: new SharedArrayBuffer(Counters.bytes),
    hostCounters: new SharedArrayBuffer(Counters.bytes),
    guestLedger: new SharedArrayBuffer(Ledger.bytes),
    hostLedger: new SharedArrayBuffer(Ledger.bytes),
    frameLog: new SharedArrayBuffer(FrameLog.bytes(options.heads, options.logCapacity)),
    originNs,
  };
}

/** Bytes that the path copies for each frame. */
export const bytesPerFrame = (options: MachineOptions): number =>
  (COPIES[options.path] + (options.sink === 'display' && !pathUsesBlob(options.path) ? 1 : 0)) * frameBytes(options);
