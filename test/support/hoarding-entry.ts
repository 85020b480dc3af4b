/** A worker's entry that keeps something of every machine it has run. */
import run from '../../workers/entry.ts';
import type { MemoryTask, ThreadMemory } from '../../workers/memory.ts';
import type { SideReport, SideTask } from '../../workers/task.ts';

const KEPT_BYTES = 4 * 1024 * 1024;
const kept: unknown[] = [];

export default function hoard(task: SideTask | MemoryTask): SideReport | ThreadMemory | null {
  if (task.role === 'memory') return run(task);
  kept.push(new Array(KEPT_BYTES / 8).fill(0.5));
  return run(task);
}
