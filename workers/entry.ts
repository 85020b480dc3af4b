import { Alive, DeviceRegisters } from '../core/ring/registers.ts';
import { runGuest } from './guest-side.ts';
import { runHost } from './host-side.ts';
import { type MemoryTask, measureMemory, type ThreadMemory } from './memory.ts';
import type { SideReport, SideTask } from './task.ts';

/**
 * A pool worker's task: one side of a machine, from start to end. A side that fails takes the other one down.
 * @returns null when it could not go on because it had been told to stop: whoever told it knows why
 * @throws what made it fail
 */
export default function run(task: SideTask): SideReport | null;
export default function run(task: MemoryTask): ThreadMemory;
export default function run(task: SideTask | MemoryTask): SideReport | ThreadMemory | null {
  if (task.role === 'memory') return measureMemory(task);
  try {
    return task.role === 'guest' ? runGuest(task) : runHost(task);
  } catch (error) {
    const registers = new DeviceRegisters(new Int32Array(task.plan.control));
    if (task.role === 'guest') registers.guestAlive = Alive.failed;
    else registers.hostAlive = Alive.failed;
    // Its own failure may only follow from the other side's, whose message must not come second.
    if (registers.stopRequested) return null;
    registers.requestStop();
    throw error;
  }
}
