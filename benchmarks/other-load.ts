import os from 'node:os';
import { processCpuNs } from './peers/cpu-meter.ts';

/** CPU time of all CPUs, and of this process and those that it has started, ms. */
interface Times {
  readonly busy: number;
  readonly all: number;
  readonly own: number;
}

/** What other programs take of the CPUs from now on: where threads are more than CPUs, waiting for one tells nothing of them. */
export class OtherLoad {
  readonly #from: Times;
  readonly #pids: readonly number[];

  /** @param pids processes that are this one's too */
  constructor(pids: readonly number[] = [], from: Times = timesNow(pids)) {
    this.#pids = pids;
    this.#from = from;
  }

  /** Since it was made, percent of all CPUs; ticks are 10 ms. */
  percent(now: Times = timesNow(this.#pids)): number {
    const all = now.all - this.#from.all;
    const others = now.busy - this.#from.busy - (now.own - this.#from.own);
    return all <= 0 ? 0 : Math.max(0, (100 * others) / all);
  }
}

function timesNow(pids: readonly number[]): Times {
  let busy = 0;
  let all = 0;
  for (const { times } of os.cpus()) {
    const working = times.user + times.nice + times.sys + times.irq;
    busy += working;
    all += working + times.idle;
  }
  const { user, system } = process.cpuUsage();
  return { busy, all, own: (user + system) / 1000 + pids.reduce((sum, pid) => sum + processCpuNs(pid), 0) / 1e6 };
}
