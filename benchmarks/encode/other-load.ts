import os from 'node:os';

/** CPU time of all CPUs and of this process, ms. */
interface Times {
  readonly busy: number;
  readonly all: number;
  readonly own: number;
}

/** What other programs take of the CPUs from now on: where threads are more than CPUs, waiting for one tells nothing of them. */
export class OtherLoad {
  readonly #from: Times;

  constructor(from: Times = timesNow()) {
    this.#from = from;
  }

  /** Since it was made, percent of all CPUs; ticks are 10 ms. */
  percent(now: Times = timesNow()): number {
    const all = now.all - this.#from.all;
    const others = now.busy - this.#from.busy - (now.own - this.#from.own);
    return all <= 0 ? 0 : Math.max(0, (100 * others) / all);
  }
}

function timesNow(): Times {
  let busy = 0;
  let all = 0;
  for (const { times } of os.cpus()) {
    const working = times.user + times.nice + times.sys + times.irq;
    busy += working;
    all += working + times.idle;
  }
  const { user, system } = process.cpuUsage();
  return { busy, all, own: (user + system) / 1000 };
}
