/** Whether a split ring whose indices were set behaves as one that came there by use. */
import { Chain } from '../../core/ring/chain.ts';
import type { DeviceQueue, DriverQueue } from '../../core/ring/queue.ts';
import type { Stage } from './stage.ts';

/** Chains that follow: past 65536. */
const MORE = 9;
const AREA_HALFWORDS = 1024;
const BUFFER = 0x8000;

/** Runs outside of any schedule, both sides in one thread. @returns the difference, or null */
export function presetDifference(stage: Stage, raw: Uint16Array): string | null {
  const { start } = stage.scenario;
  const chain = new Chain();
  const pass = (driver: DriverQueue, device: DeviceQueue, chains: number, told: string[] | null): void => {
    for (let i = 0; i < chains; i++) {
      driver.begin();
      driver.writable(BUFFER, 8);
      if (!driver.submit(i)) throw new Error(`chain ${i}: the ring is full`);
      const kick = driver.publish();
      if (!device.pop(chain)) throw new Error(`chain ${i}: the device finds nothing`);
      device.push(chain.head, 8);
      const interrupt = device.publish();
      if (!driver.popUsed()) throw new Error(`chain ${i}: the driver finds nothing`);
      // Events from here on, so that what was asked before does not matter.
      if (told !== null && device.enableKicks()) throw new Error(`chain ${i}: the device finds more`);
      if (told !== null && driver.enableInterrupts()) throw new Error(`chain ${i}: the driver finds more`);
      told?.push(`${kick}/${interrupt}`);
    }
  };
  /** The ring's memory and who was told what, after the indices have turned. */
  const outcome = (from: number): readonly (number | string)[] => {
    const { newDriver, newDevice } = stage;
    raw.fill(0);
    const driver = newDriver(from);
    const device = newDevice(from);
    const told: string[] = [];
    if (from === 0) pass(driver, device, start, null);
    driver.enableInterrupts();
    device.enableKicks();
    pass(driver, device, MORE, told);
    return [...raw.subarray(0, AREA_HALFWORDS), ...told];
  };
  const set = outcome(start);
  const used = outcome(0);
  const differs = set.findIndex((value, i) => value !== used[i]);
  return differs < 0 ? null : `entry ${differs} is ${set[differs]} where indices were set, ${used[differs]} after use`;
}
