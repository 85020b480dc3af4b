import { QUEUE_MEMORY } from '../../core/machine/testing/host-rig.ts';
import { Counter } from '../../core/measure/counters.ts';
import type { AddressSpace } from '../../core/memory/address-space.ts';
import { Chain, MAX_CHAIN, readChain } from '../../core/ring/chain.ts';
import { PackedDevice } from '../../core/ring/packed/device.ts';
import { type DeviceQueue, RingError } from '../../core/ring/queue.ts';
import { CONTROL_QUEUE } from '../../core/ring/registers.ts';
import { SplitDevice } from '../../core/ring/split/device.ts';
import { hold, same } from './failure.ts';
import { FuzzHost } from './host.ts';
import type { FuzzMemory } from './memory.ts';
import { Cell, RACE, RING_KINDS } from './plan.ts';

const STEPS = 250;
/** Polls without work after which the other thread is taken not to be running. */
const MOST_IDLE = 2000;
/** Rings of an episode of the ring alone: they break soon, and take next to no time to make. */
const RINGS = 16;
/** Virtual time a poll takes, ns. */
const POLL_NS = 500;
/** Polls between two times that the host says it goes to sleep. */
const SLEEP_EVERY = 16;

/** The host's half of the raw-ring part: the device at work while a hostile driver on another thread rewrites its memory. */
export class Race {
  /** Chains that the device took, and episodes that ended in a broken ring. */
  chains = 0;
  broken = 0;
  readonly #host: FuzzHost;
  readonly #cells: Int32Array;
  readonly #kind: number;
  readonly #chain = new Chain();
  readonly #copy = new Uint8Array(4096);

  /** @param memory of RACE.regionBytes a region, shared with the other thread as `cells` are */
  constructor(memory: FuzzMemory, cells: Int32Array, kind: number) {
    this.#cells = cells;
    this.#kind = kind;
    this.#host = new FuzzHost(memory, {
      ...RING_KINDS[kind],
      regionBytes: RACE.regionBytes,
      scanoutNs: 2000,
      slots: 8,
      slotBytes: 1024,
      maxEntries: 16384,
      maxHostmem: 1 << 20,
      // What a hostile descriptor makes writable may lie anywhere there.
      sharedEnd: RACE.regionBytes,
    });
  }

  /** The whole device, then reset and valid frames. @throws FuzzFailure, or what the host threw */
  host(seed: number): void {
    const host = this.#host;
    const { device, clock, counters } = host.rig;
    const before = counters.get(Counter.commands);
    host.start();
    const episode = this.#begin(seed, 0);
    let idle = 0;
    for (let polls = 0; Atomics.load(this.#cells, Cell.done) !== episode; polls++) {
      idle = device.poll() ? 0 : idle + 1;
      clock.advance(POLL_NS);
      if (idle % MOST_IDLE === MOST_IDLE - 1) this.#letRun(episode);
      if (device.needsReset) Atomics.store(this.#cells, Cell.broken, 1);
      else if (polls % SLEEP_EVERY === 0 && !device.prepareSleep()) device.endSleep();
    }
    for (let polls = 0; device.poll(); polls++) {
      hold(polls < 10_000, 'the host does not come to rest');
      clock.advance(POLL_NS);
    }
    if (device.needsReset) this.broken++;
    this.chains += counters.get(Counter.commands) - before;
    host.finish();
  }

  /** The device's side of the ring alone: every chain that it takes has to be one that it may use. */
  ring(seed: number): void {
    this.#host.start();
    for (let i = 0; i < RINGS; i++) this.#ring(seed * RINGS + i);
    this.#host.finish();
  }

  #ring(seed: number): void {
    const { rig } = this.#host;
    const { space } = rig;
    const cells = this.#cells;
    rig.regions[0].u8.fill(0, QUEUE_MEMORY[0], QUEUE_MEMORY[1]);
    const { config } = rig.placed(CONTROL_QUEUE);
    const queue = new (RING_KINDS[this.#kind].ring === 'packed' ? PackedDevice : SplitDevice)(space, config);
    const episode = this.#begin(seed, 1);
    let idle = 0;
    try {
      while (Atomics.load(cells, Cell.done) !== episode) {
        idle++;
        for (let i = 0; i < 8 && queue.pop(this.#chain); i++, idle = 0) this.#use(space, queue);
        if (idle > MOST_IDLE) this.#letRun(episode);
        queue.publish();
        queue.enableKicks();
        queue.disableKicks();
      }
    } catch (error) {
      if (!(error instanceof RingError)) throw error;
      this.broken++;
      hold(!queue.pop(this.#chain) && !queue.publish(), 'a broken queue goes on');
    }
    Atomics.store(cells, Cell.broken, 1);
    while (Atomics.load(cells, Cell.done) !== episode) this.#letRun(episode);
  }

  /** Leaves the processor to others for a moment: where there are not enough, the other thread may be waiting for this one's. */
  #letRun(episode: number): void {
    const done = Atomics.load(this.#cells, Cell.done);
    if (done !== episode) Atomics.wait(this.#cells, Cell.done, done, 1);
  }

  #begin(seed: number, ringOnly: number): number {
    const cells = this.#cells;
    const episode = (Atomics.load(cells, Cell.episode) + 1) & 0x3fffffff;
    Atomics.store(cells, Cell.kind, this.#kind);
    Atomics.store(cells, Cell.seed, seed);
    Atomics.store(cells, Cell.steps, STEPS);
    Atomics.store(cells, Cell.broken, 0);
    Atomics.store(cells, Cell.ringOnly, ringOnly);
    Atomics.store(cells, Cell.episode, episode);
    Atomics.notify(cells, Cell.episode);
    return episode;
  }

  /** Looks at a chain as its users do, and returns it. */
  #use(space: AddressSpace, queue: DeviceQueue): void {
    this.chains++;
    const chain = this.#chain;
    const { head, count, readableCount } = chain;
    hold(head >= 0 && head < queue.size, `a chain with head ${head}`);
    hold(
      count > 0 && count <= MAX_CHAIN && readableCount >= 0 && readableCount <= count,
      `a chain of ${readableCount} and ${count} buffers`,
    );
    hold(queue.inFlight <= queue.size, `${queue.inFlight} chains in flight`);
    let readable = 0;
    let writable = 0;
    for (let i = 0; i < count; i++) {
      const region = space.regions[chain.region[i]] ?? null;
      const offset = chain.offset[i];
      const length = chain.length[i];
      hold(
        region !== null && length > 0 && offset >= 0 && offset + length <= region.size,
        `a buffer outside memory (${length} bytes at ${offset})`,
      );
      if (i < readableCount) readable += length;
      else writable += length;
    }
    same(chain.readableBytes, readable, 'readable bytes of a chain');
    same(chain.writableBytes, writable, 'writable bytes of a chain');
    const bytes = Math.min(readable, this.#copy.length);
    same(readChain(space, chain, 0, this.#copy, 0, bytes), bytes, 'bytes read of a chain');
    queue.push(head, Math.min(writable, 24));
  }
}
