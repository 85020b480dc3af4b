import { threadId } from 'node:worker_threads';
import type { MachinePlan } from '../../core/machine/plan.ts';
import { DeviceRegisters } from '../../core/ring/registers.ts';
import run from '../../workers/entry.ts';
import type { SideReport, SideTask } from '../../workers/task.ts';

/** What a side of a session under test does instead of its work; without a script it does its work. */
export type Act =
  | { readonly act: 'exit'; readonly code: number }
  | { readonly act: 'throw'; readonly message: string }
  /** Throws when it is told to stop, as a driver does that waits for its host. */
  | { readonly act: 'throw when stopped' }
  /** Neither ends nor looks at the stop word. */
  | { readonly act: 'hang' }
  | { readonly act: 'spin' }
  | { readonly act: 'no report' }
  | { readonly act: 'out of memory' };

export interface ScriptedPlan extends MachinePlan {
  readonly script: Partial<Record<SideTask['role'], Act>>;
  /** Int32: the ids of the threads that took the guest's and the host's part. */
  readonly threads: SharedArrayBuffer;
}

/** A pool worker's task, as workers/entry.ts. */
export default function side(task: SideTask): SideReport | null {
  const { script, threads } = task.plan as ScriptedPlan;
  const cell = task.role === 'guest' ? 0 : 1;
  Atomics.store(new Int32Array(threads), cell, threadId);
  Atomics.notify(new Int32Array(threads), cell);
  const part = script[task.role];
  if (part === undefined) return run(task);
  switch (part.act) {
    case 'exit':
      process.exit(part.code);
      break;
    case 'throw':
      throw new RangeError(part.message);
    case 'throw when stopped': {
      const registers = new DeviceRegisters(new Int32Array(task.plan.control));
      while (!registers.stopRequested);
      throw new Error('stopped while waiting');
    }
    case 'hang':
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
      break;
    case 'spin':
      for (;;);
    case 'out of memory':
      return fillMemory();
    case 'no report':
      break;
  }
  return null;
}

function fillMemory(): null {
  const kept: unknown[] = [];
  for (;;) kept.push(Array.from({ length: 10_000 }, (_, i) => ({ i })));
}
