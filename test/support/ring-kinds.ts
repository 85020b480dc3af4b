import type { Ring } from '../../core/machine/options.ts';
import type { RingSetup } from '../../core/machine/testing/ring-setup.ts';
import { PackedDevice } from '../../core/ring/packed/device.ts';
import { PackedDriver } from '../../core/ring/packed/driver.ts';
import { SplitDevice } from '../../core/ring/split/device.ts';
import { SplitDriver } from '../../core/ring/split/driver.ts';

/** Every kind of virtqueue that a test of rings runs on. */
export const RING_KINDS: readonly { readonly ring: Ring; readonly inOrder: boolean }[] = [
  { ring: 'split', inOrder: false },
  { ring: 'split', inOrder: true },
  { ring: 'packed', inOrder: false },
  { ring: 'packed', inOrder: true },
];

export const newDriver = (ring: Ring, { space, config, tables }: RingSetup): SplitDriver | PackedDriver =>
  ring === 'packed' ? new PackedDriver(space, config, tables) : new SplitDriver(space, config, tables);

export const newDevice = (ring: Ring, { space, config }: RingSetup, maxSize?: number): SplitDevice | PackedDevice =>
  ring === 'packed' ? new PackedDevice(space, config, maxSize) : new SplitDevice(space, config, maxSize);
