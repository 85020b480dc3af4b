import { Alive, DeviceRegisters } from '../core/ring/registers.ts';
import { runGuest } from './guest-side.ts';
import { runHost } from './host-side.ts';
import type { SideReport, SideTask } from './task.ts';

/** A pool worker's task: one side of a machine, from start to end. A side that fails takes the other one down. */
export default function run(task: SideTask): SideReport {
  try {
    return task.role === 'guest' ? runGuest(task) : runHost(task);
  } catch (error) {
    const registers = new DeviceRegisters(new Int32Array(task.plan.control));
    if (task.role === 'guest') registers.guestAlive = Alive.failed;
    else registers.hostAlive = Alive.failed;
    registers.requestStop();
    throw error;
  }
}
