import { stamp } from '../guest/renderer.ts';
import type { Clock } from '../measure/clock.ts';
import { Counters } from '../measure/counters.ts';
import { FrameLog } from '../measure/frame-log.ts';
import { pageAlign } from '../memory/address.ts';
import { AddressSpace } from '../memory/address-space.ts';
import { createSharedMemory, MemoryRegion, type RegionPlan } from '../memory/region.ts';
import { RowTable } from '../memory/row-table.ts';
import { SegmentList } from '../memory/segments.ts';
import type { Doorbell } from '../ring/doorbell.ts';
import { DeviceRegisters } from '../ring/registers.ts';
import type { MachineOptions } from './options.ts';
import { type MachinePlan, planParts } from './plan.ts';
import { placeQueues, RING_BASE } from './replay-plan.ts';
import type { Workload, WorkloadBuffer } from './workload.ts';
import { chainRoom, WorkloadDriver } from './workload-driver.ts';
import { WorkloadPlayer } from './workload-player.ts';

/** A grey that no zero page has. */
const UNDRAWN = 0xff808080;

/**
 * Shared memory for a machine whose guest is a workload: the guest's regions as its trace names them, and one for rings
 * and chains. Memory is zero until written, so a guest's gigabytes take only the pages that are used.
 * @throws RangeError when the system has no such memory
 */
export function planWorkloadMachine(options: MachineOptions, workload: Workload, originNs: number): MachinePlan {
  const { end } = placeQueues(workload);
  const size = pageAlign(end - RING_BASE + chainRoom(workload));
  const regions: RegionPlan[] = [
    { id: 0, name: 'rings', kind: 'ram', gpa: RING_BASE, size, device: null, bar: null, memory: createSharedMemory(size) },
  ];
  for (const { gpa, size: bytes, kind } of workload.regions) {
    const name = `${kind}-${gpa.toString(16)}`;
    const owner = kind === 'device' ? { device: name, bar: 0 } : { device: null, bar: null };
    regions.push({ id: regions.length, name, kind, gpa, size: bytes, ...owner, memory: createSharedMemory(bytes) });
  }
  return { ...planParts(options, regions, originNs), workload };
}

/** The guest's half of a machine that plays a recorded guest. Its loop belongs to whoever runs it. */
export class WorkloadGuest {
  readonly compositor: WorkloadPlayer;
  readonly driver: WorkloadDriver;
  /** Nothing is freed one by one: the reset at the end frees all at the host, and the guest's buffers are its memory. */
  readonly heldBytes = 0;
  readonly gpu = { buffers: [] } as const;
  /** Memory entries of the largest buffer that is shown. */
  readonly segments: number;

  /**
   * Makes the resources: blocks on `guestDoorbell` until the host has.
   * @throws DriverError, RangeError
   */
  constructor(plan: MachinePlan, workload: Workload, clock: Clock, hostDoorbell: Doorbell, guestDoorbell: Doorbell) {
    const { options } = plan;
    const space = new AddressSpace();
    const regions = plan.regions.map((region) => new MemoryRegion(region));
    for (const region of regions) space.add(region);
    const lists = workload.buffers.map((buffer) => segmentsOf(space, buffer));
    for (const list of lists) touch(list);
    const rows = workload.images.map(({ buffer, offset, stride, height }) => {
      const table = new RowTable();
      if (workload.stamped) table.build(lists[buffer], offset, stride, height);
      return table;
    });
    const counters = new Counters(plan.guestCounters);
    const { queues, end } = placeQueues(workload);
    this.driver = new WorkloadDriver({
      workload,
      space,
      rings: regions[0],
      queues,
      buffers: end,
      registers: new DeviceRegisters(new Int32Array(plan.control)),
      clock,
      counters,
      hostDoorbell,
      guestDoorbell,
    });
    this.compositor = new WorkloadPlayer({
      workload,
      driver: this.driver,
      clock,
      counters,
      log: new FrameLog(plan.frameLog, options.heads, options.logCapacity),
      periodNs: 1e9 / (options.rateHz ?? 60),
      stamp: (image, frame) => stamp(rows[image], (frame + 1) >>> 0),
    });
    this.segments = Math.max(...workload.buffers.map(({ entries }) => entries.length));
  }

  /** As GuestMachine's. */
  poll(): boolean {
    return this.compositor.poll();
  }

  /** Resets the device. Blocks. */
  shutDown(): void {
    this.driver.reset();
  }
}

function segmentsOf(space: AddressSpace, { entries, resource }: WorkloadBuffer): SegmentList {
  const list = new SegmentList(entries.length);
  for (const { address, length } of entries) {
    if (!space.translate(address, length) || space.hitRegion === null) throw new RangeError(`resource ${resource} lies outside memory`);
    list.append(space.hitRegion, space.hitOffset, length);
  }
  return list;
}

/** Writes every page once: of one never written a copy would read the system's page of zeros, which is always in the cache. */
function touch({ count, region, offset, bytes }: SegmentList): void {
  for (let i = 0; i < count; i++) region[i].u32.fill(UNDRAWN, Math.ceil(offset[i] / 4), Math.floor((offset[i] + bytes[i]) / 4));
}
