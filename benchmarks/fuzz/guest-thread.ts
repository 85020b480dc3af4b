/** Thread of the hostile driver: plays one episode after another, as the shared cells say. */
import { workerData } from 'node:worker_threads';
import { regionPlans } from '../../core/machine/testing/host-rig.ts';
import { AddressSpace } from '../../core/memory/address-space.ts';
import { Random } from '../../core/memory/random.ts';
import { HostileDriver } from './hostile-driver.ts';
import { FuzzMemory } from './memory.ts';
import { Cell, RACE, RING_KINDS } from './plan.ts';

/** Chains after the host has stopped: it has to ignore them. */
const AFTERWARDS = 3;
/** Some tenths of a millisecond. */
const SPINS = 30_000;

const { cells, memories } = workerData as { cells: Int32Array; memories: WebAssembly.Memory[] };
const memory = new FuzzMemory(memories);
const space = new AddressSpace();
const regions = regionPlans(RACE.regionBytes).map(memory.makeRegion);
for (const region of regions) space.add(region);

let episode = 0;
for (;;) {
  // Spun first: to be woken costs the host more than an episode's preparation.
  for (let i = 0; i < SPINS && Atomics.load(cells, Cell.episode) === episode; i++);
  Atomics.wait(cells, Cell.episode, episode);
  episode = Atomics.load(cells, Cell.episode);
  if (episode < 0) break;
  const kind = RING_KINDS[Atomics.load(cells, Cell.kind)];
  const random = new Random(Atomics.load(cells, Cell.seed));
  const driver = new HostileDriver(space, regions[0], kind, random, Atomics.load(cells, Cell.ringOnly) !== 0);
  let left = Atomics.load(cells, Cell.steps);
  for (let afterwards = 0; left > 0 && afterwards < AFTERWARDS; left--) {
    driver.step();
    if (Atomics.load(cells, Cell.broken) !== 0) afterwards++;
  }
  Atomics.store(cells, Cell.done, episode);
  Atomics.notify(cells, Cell.done);
}
