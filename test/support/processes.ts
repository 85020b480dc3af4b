import { readdirSync, readFileSync } from 'node:fs';

export interface Process {
  readonly pid: number;
  readonly name: string;
}

/** What a process has started, and what that has started (Linux, /proc). */
export function descendants(pid: number): Process[] {
  const found: Process[] = [];
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      for (const child of readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ')) {
        if (child === '') continue;
        found.push({ pid: Number(child), name: readFileSync(`/proc/${child}/comm`, 'utf8').trim() }, ...descendants(Number(child)));
      }
    }
  } catch {
    // gone meanwhile
  }
  return found;
}

/** Whether it still runs; one that has ended and was not waited for does not. */
export function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
