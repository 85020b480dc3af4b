import { readdirSync, readFileSync } from 'node:fs';

const TICK_MS = 10;

/** CPU time of a process, its descendants, and those of theirs that have ended and were waited for, ms, to a hundredth of a second. */
export function treeCpuMs(root: number, all: readonly ProcessTimes[] = processes()): number {
  const children = new Map<number, ProcessTimes[]>();
  for (const one of all) children.set(one.parent, [...(children.get(one.parent) ?? []), one]);
  let sum = 0;
  const todo = all.filter(({ pid }) => pid === root);
  for (let one = todo.pop(); one !== undefined; one = todo.pop()) {
    sum += one.ms;
    todo.push(...(children.get(one.pid) ?? []));
  }
  return sum;
}

export interface ProcessTimes {
  readonly pid: number;
  readonly parent: number;
  readonly ms: number;
}

/** Every process there is; none where the system does not say. */
function processes(): ProcessTimes[] {
  let names: string[];
  try {
    names = readdirSync('/proc');
  } catch {
    return [];
  }
  return names.flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      return [timesIn(readFileSync(`/proc/${name}/stat`, 'utf8'))];
    } catch {
      // It is gone.
      return [];
    }
  });
}

/** Of the text of /proc/PID/stat (proc(5)): `pid (name) state ppid …`, utime, stime, cutime and cstime being numbers 14 to 17. */
export function timesIn(stat: string): ProcessTimes {
  // A name may hold blanks and brackets.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  return { pid: Number.parseInt(stat, 10), parent: Number(fields[1]), ms: ticks * TICK_MS };
}
