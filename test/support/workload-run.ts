import { HostMachine } from '../../core/machine/host-machine.ts';
import { DEFAULT_OPTIONS, type MachineOptions } from '../../core/machine/options.ts';
import { plannedCopier } from '../../core/machine/parts.ts';
import type { MachinePlan } from '../../core/machine/plan.ts';
import { type Workload, workloadPath } from '../../core/machine/workload.ts';
import { planWorkloadMachine, WorkloadGuest } from '../../core/machine/workload-guest.ts';
import { VirtualClock } from '../../core/measure/clock.ts';
import { FrameColumn, FrameLog } from '../../core/measure/frame-log.ts';
import type { Chain } from '../../core/ring/chain.ts';
import type { Doorbell } from '../../core/ring/doorbell.ts';

const PERIOD_NS = 1e9 / 60;

/** A recorded guest and a host on one thread, under a virtual clock that moves when both are idle. */
export class WorkloadRun {
  readonly clock = new VirtualClock();
  readonly plan: MachinePlan;
  readonly host: HostMachine;
  readonly guest: WorkloadGuest;
  readonly log: FrameLog;
  /** Every chain that the host has taken. */
  readonly taken: { readonly queue: number; readonly indirect: boolean; readonly lengths: number[]; readonly request: Uint8Array }[] = [];

  constructor(workload: Workload, options: Partial<MachineOptions> = {}) {
    // 0 in the frame log means that something did not happen.
    this.clock.advance(1e6);
    const [{ width, height }] = workload.images;
    const complete = { ...DEFAULT_OPTIONS, path: workloadPath(workload), width, height, rateHz: 60, scanoutUs: 2000, ...options };
    this.plan = planWorkloadMachine(complete, workload, 0);
    const quiet: Doorbell = { sample: () => 0, ring: () => {}, sleep: () => true };
    const take = (queue: number, chain: Chain): void => this.#take(queue, chain);
    this.host = new HostMachine(this.plan, this.clock, quiet, plannedCopier, undefined, null, undefined, take);
    const asleep: Doorbell = { ...quiet, sleep: (_, until) => this.#hostTurn(until) };
    this.guest = new WorkloadGuest(this.plan, workload, this.clock, quiet, asleep);
    this.guest.compositor.start();
    this.log = new FrameLog(this.plan.frameLog, 1, complete.logCapacity);
  }

  /** Until so many frames are answered. @throws Error when nothing can happen any more */
  frames(count: number): this {
    const { compositor } = this.guest;
    while (compositor.committed < count) this.#step();
    return this;
  }

  /** Ends what is under way. */
  drain(): this {
    const { compositor } = this.guest;
    compositor.running = false;
    while (!compositor.idle) this.#step();
    return this;
  }

  /** A column of the first frames, in periods of the display since the first one's due time. */
  column(name: keyof typeof FrameColumn, frames: number): number[] {
    const origin = this.log.cells[this.log.row(0, 0) + FrameColumn.scheduled];
    return Array.from({ length: frames }, (_, i) => (this.log.cells[this.log.row(0, i) + FrameColumn[name]] - origin) / PERIOD_NS);
  }

  #take(queue: number, { indirect, count, readableCount, region, offset, length }: Chain): void {
    const request: number[] = [];
    for (let i = 0; i < readableCount; i++) {
      request.push(...new Uint8Array(this.plan.regions[region[i]].memory.buffer, offset[i], length[i]));
    }
    this.taken.push({ queue, indirect, lengths: [...length.subarray(0, count)], request: Uint8Array.from(request) });
  }

  #step(): void {
    const answered = this.guest.poll();
    if (this.host.device.poll() || answered) return;
    const next = Math.min(this.guest.compositor.deadline[0], this.host.device.deadline[0]);
    if (next === Number.POSITIVE_INFINITY) throw new Error('nothing can happen any more');
    this.clock.advanceTo(next);
  }

  #hostTurn(untilNs: number): boolean {
    if (this.host.device.poll()) return true;
    this.clock.advanceTo(Math.min(untilNs, this.host.device.deadline[0]));
    return false;
  }
}
