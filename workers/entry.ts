import { runGuest } from './guest-side.ts';
import { runHost } from './host-side.ts';
import type { SideReport, SideTask } from './task.ts';

/** A pool worker's task: one side of a machine, from start to end. */
export default function run(task: SideTask): SideReport {
  return task.role === 'guest' ? runGuest(task) : runHost(task);
}
