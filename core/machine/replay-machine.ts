import { Memfd, UDMABUF_DEFAULTS } from '../dmabuf/udmabuf.ts';
import { VfioDevice } from '../dmabuf/vfio.ts';
import { HostDevice } from '../host/device.ts';
import { VirtualClock } from '../measure/clock.ts';
import { Counters } from '../measure/counters.ts';
import { AddressSpace } from '../memory/address-space.ts';
import { Copier, type CopyKernel } from '../memory/copier.ts';
import { Ledger } from '../memory/ledger.ts';
import { createSharedMemory, MemoryRegion } from '../memory/region.ts';
import type { Doorbell } from '../ring/doorbell.ts';
import { DeviceRegisters } from '../ring/registers.ts';
import { LatchSink } from '../sink/latch.ts';
import { TraceError, type TraceHeader } from '../trace/trace.ts';
import { ImagePool } from './host-machine.ts';
import { OFFERED_FEATURES, placeQueues, type QueuePlace, type ReplayPlan, type ReplayRegion, RING_BASE } from './replay-plan.ts';

export interface ReplayOptions {
  readonly kernel: CopyKernel;
  /** udmabuf's module parameters; a list_limit of 8192 takes a 4K frame of scattered pages nearly whole. */
  readonly listLimit: number;
  readonly sizeLimitMb: number;
  readonly profile: 'series' | 'qemu-10.2';
  readonly policy: 'copy' | 'error';
}

export const REPLAY_DEFAULTS = { listLimit: 8192, sizeLimitMb: UDMABUF_DEFAULTS.sizeLimitMb, profile: 'series', policy: 'copy' } as const;

const RING_REGION = 0;
/** The vblank rate of the recorded guests. */
const REFRESH_HZ = 60;
/** How long the sink reads a frame, ns. */
const SCANOUT_NS = 2e6;
/** Entries of one command and host memory, as QEMU limits them. */
const MAX_ENTRIES = 16384;
const MAX_HOSTMEM = 256 * 2 ** 20;

/**
 * The host device of a replay and the guest memory that its trace names. Each region has memory of its own, zero until
 * written, so a guest's gigabytes take only the pages that are used. A device region belongs to a VFIO device of its own.
 * Time is virtual.
 */
export class ReplayMachine {
  readonly clock = new VirtualClock();
  readonly counters = new Counters();
  readonly ledger = new Ledger();
  readonly registers: DeviceRegisters;
  readonly device: HostDevice;
  /** The present regions of the trace, and the rings. */
  readonly space = new AddressSpace();
  /** Rings, tables and the buffers of chains. */
  readonly rings: MemoryRegion;
  readonly queues: readonly QueuePlace[];
  /** First address of the buffers. */
  readonly buffers: number;

  /** @throws TraceError when there is no memory for a region */
  constructor(header: TraceHeader, plan: ReplayPlan, options: ReplayOptions) {
    const { queues, end } = placeQueues(plan);
    this.queues = queues;
    this.buffers = end;
    const ringBytes = end - RING_BASE + plan.bufferBytes;
    const own = { name: 'rings', kind: 'ram', gpa: RING_BASE, size: ringBytes, device: null, bar: null } as const;
    this.rings = new MemoryRegion({ ...own, id: RING_REGION, memory: createSharedMemory(ringBytes) });
    const regions: MemoryRegion[] = [this.rings];
    const memfds = new Map<MemoryRegion, Memfd>();
    const vfioDevices: VfioDevice[] = [];
    for (const planned of plan.regions) {
      const region = regionOf(planned);
      regions[region.id] = region;
      if (region.device === null) {
        memfds.set(region, new Memfd(region));
      } else {
        const owner = new VfioDevice(region.device);
        owner.addRegion(0, region);
        vfioDevices.push(owner);
      }
    }
    this.space.add(this.rings);
    for (const id of plan.initial) this.space.add(regions[id]);
    this.registers = new DeviceRegisters(new Int32Array(new SharedArrayBuffer(DeviceRegisters.words * 4)));
    const pool = new ImagePool();
    const { num_scanouts: heads, width, height } = header.config;
    this.device = new HostDevice({
      space: this.space,
      regions,
      registers: this.registers,
      guestDoorbell: UNHEARD,
      clock: this.clock,
      counters: this.counters,
      frameLog: null,
      copier: new Copier(options.kernel, this.ledger),
      sink: new LatchSink({ heads, periodNs: 1e9 / REFRESH_HZ, phaseNs: 0, scanoutNs: SCANOUT_NS }),
      profile: options.profile,
      policy: options.policy,
      udmabuf: { ...UDMABUF_DEFAULTS, listLimit: options.listLimit, sizeLimitMb: options.sizeLimitMb },
      maxEntries: MAX_ENTRIES,
      maxHostmem: MAX_HOSTMEM,
      displays: Array.from({ length: heads }, () => ({ width, height, refreshHz: REFRESH_HZ })),
      offeredFeatures: OFFERED_FEATURES,
      allocateImage: (bytes) => pool.allocate(bytes),
      freeImage: (region) => pool.free(region),
      vfioDevices,
      memfdOf: (region) => memfds.get(region) ?? null,
    });
  }
}

/** The player looks at the interrupt status itself: it never sleeps on a doorbell. */
const UNHEARD: Doorbell = { sample: () => 0, ring: () => {}, sleep: () => true };

function regionOf(planned: ReplayRegion): MemoryRegion {
  const { id, kind, gpa, size, line } = planned;
  const name = `${kind}-${gpa.toString(16)}`;
  let memory: WebAssembly.Memory;
  try {
    memory = createSharedMemory(size);
  } catch {
    throw new TraceError(line, `no memory for a region of ${size} bytes`, 'free memory, or replay fewer traces at a time');
  }
  return new MemoryRegion({
    id,
    name,
    kind,
    gpa,
    size,
    device: kind === 'device' ? name : null,
    bar: kind === 'device' ? 0 : null,
    memory,
  });
}
