/** One side's thread made ready: its shared memory watched, the rings' code loaded. Imported by `side.ts` only. */
import { createSharedMemory, type MemoryRegion } from '../../core/memory/region.ts';
import type { DeviceQueue, DriverQueue, QueueConfig } from '../../core/ring/queue.ts';
import { type Edit, installEdits, PRESET, START } from './edits.ts';
import type { Place, Scenario } from './scenario.ts';
import { DRIVER, type Turns } from './turns.ts';
import type { Watch } from './watch.ts';

const DEVICE_BELL = 0;
const DRIVER_BELL = 32;
export const BELL_CELLS = 64;
const MEMORY_BYTES = 65536;
const TABLE_DESCRIPTORS = 2;

export const newMemory = (): WebAssembly.Memory => createSharedMemory(MEMORY_BYTES);

/** A scenario's queue, to be made anew for each run. */
export interface Stage {
  readonly scenario: Scenario;
  readonly config: QueueConfig;
  readonly place: Place;
  /** Clears the ring and makes its driver. @param start of the free-running indices; default: the scenario's */
  readonly newDriver: (start?: number) => DriverQueue;
  readonly newDevice: (start?: number) => DeviceQueue;
}

export interface Staged {
  readonly stages: readonly Stage[];
  /** The memory as it is, for who is not to take turns. */
  readonly raw: Uint16Array;
  readonly runDriver: typeof import('./scenario.ts').runDriver;
  readonly runDevice: typeof import('./scenario.ts').runDevice;
}

/**
 * Replaces this thread's `Atomics`, then loads the rings with the edits made.
 * @throws Error when an edit finds no text
 */
export async function setStage(
  turns: Turns,
  watch: Watch,
  memory: WebAssembly.Memory,
  bells: Int32Array,
  scenarios: readonly Scenario[],
  edits: readonly Edit[],
): Promise<Staged> {
  installEdits([...PRESET, ...edits]);
  watch.install();
  const { MemoryRegion } = await import('../../core/memory/region.ts');
  const { AddressSpace } = await import('../../core/memory/address-space.ts');
  const { SplitDriver } = await import('../../core/ring/split/driver.ts');
  const { SplitDevice } = await import('../../core/ring/split/device.ts');
  const { PackedDriver } = await import('../../core/ring/packed/driver.ts');
  const { PackedDevice } = await import('../../core/ring/packed/device.ts');
  const { placeSplitQueue, usedEventIndex, availEventIndex } = await import('../../core/ring/split/layout.ts');
  const { placePackedQueue } = await import('../../core/ring/packed/layout.ts');
  const { AtomicsDoorbell } = await import('../../core/ring/doorbell.ts');
  const { Counter, Counters } = await import('../../core/measure/counters.ts');
  const { VirtualClock } = await import('../../core/measure/clock.ts');
  const { runDevice, runDriver } = await import('./scenario.ts');

  const plan = { id: 0, name: 'ram', kind: 'ram', gpa: 0, size: MEMORY_BYTES, device: null, bar: null, memory } as const;
  const raw = new Uint16Array(memory.buffer);
  const region: MemoryRegion = watch.region(new MemoryRegion(plan));
  watch.cells(bells);
  const space = new AddressSpace();
  space.add(region);
  const bell = (index: number) => {
    const options = { spinNs: 0, rangCounter: Counter.wakeUps, suppressedCounter: Counter.wakeUpsSuppressed };
    const made = new AtomicsDoorbell(bells, index, new VirtualClock(), new Counters(), options);
    made.deadline[0] = Number.POSITIVE_INFINITY;
    return made;
  };
  const [deviceBell, driverBell] = [bell(DEVICE_BELL), bell(DRIVER_BELL)];
  const mine = turns.me === DRIVER ? driverBell : deviceBell;
  const peer = turns.me === DRIVER ? deviceBell : driverBell;
  const global = globalThis as unknown as Record<string, number>;

  const stages = scenarios.map((scenario): Stage => {
    const { ring, size, eventIdx, inOrder } = scenario;
    const packed = ring === 'packed';
    const placed = (packed ? placePackedQueue : placeSplitQueue)(0, size);
    const config = { ...placed, size, eventIdx, inOrder, indirect: scenario.chain === 'indirect' };
    const tables = { address: placed.end, descriptors: TABLE_DESCRIPTORS };
    const newDriver = (start: number = scenario.start): DriverQueue => {
      global[START] = start;
      if (packed) return new PackedDriver(space, config, tables);
      const driver = new SplitDriver(space, config, tables);
      // What a ring that was used so often has in memory; each side asks to be told of the very next buffer.
      raw[config.driverAddress / 2 + 1] = start;
      raw[config.deviceAddress / 2 + 1] = start;
      if (!eventIdx) return driver;
      raw[config.driverAddress / 2 + usedEventIndex(size)] = start;
      raw[config.deviceAddress / 2 + availEventIndex(size)] = start;
      return driver;
    };
    const newDevice = (start: number = scenario.start): DeviceQueue => {
      global[START] = start;
      return packed ? new PackedDevice(space, config) : new SplitDevice(space, config);
    };
    const buffers = placed.end + size * TABLE_DESCRIPTORS * 16;
    return { scenario, config, place: { region, space, buffers, mine, peer }, newDriver, newDevice };
  });
  return { stages, raw, runDriver, runDevice };
}
