import { GuestMachine } from '../core/machine/guest-machine.ts';
import { plannedCopier } from '../core/machine/parts.ts';
import { SessionWord } from '../core/machine/plan.ts';
import { openDriverQueue } from '../core/machine/queues.ts';
import { WorkloadGuest } from '../core/machine/workload-guest.ts';
import { Counter, Counters } from '../core/measure/counters.ts';
import type { Doorbell } from '../core/ring/doorbell.ts';
import { Alive } from '../core/ring/registers.ts';
import { ClockCheck } from './clock-check.ts';
import { guestFaults, standStill } from './faults.ts';
import { claimStop } from './guest-end.ts';
import { keepsDevice, type MakeGuest, openGuest, reopenGuest, StuckCheck } from './guest-life.ts';
import { type Bell, runLoop, type Side } from './loop.ts';
import { GuestRemote } from './remote.ts';
import { openSide, type SideParts } from './side.ts';
import type { GuestReport, SideTask } from './task.ts';
import { type ThreadUsage, UsageMeter } from './thread-usage.ts';
import { GuestTransport } from './vhost-user/guest-transport.ts';

export const Phase = { warmUp: 0, measuring: 1, draining: 2 } as const;

/** Runs the guest of a machine: warm-up, the measured part, draining, reset. Blocks its thread until then. */
export function runGuest(task: SideTask): GuestReport {
  const { plan } = task;
  const faults = guestFaults(plan, new Counters(plan.guestCounters));
  const parts = openSide(plan, 'guest', (real) => faults?.clock(real) ?? real);
  const { clock, registers, counters, hostBell, guestBell } = parts;
  const { workload } = plan;
  if (workload !== undefined) {
    const makeWorkload = (): WorkloadGuest => new WorkloadGuest(plan, workload, clock, hostBell, guestBell);
    return runGuestWith(task, parts, hostBell, guestBell, makeWorkload, () => null);
  }
  const run = (ownHostBell: Doorbell, ownGuestBell: Doorbell & Bell, cursorBell: Doorbell | null): GuestReport => {
    const make: MakeGuest = () =>
      new GuestMachine(plan, clock, ownHostBell, ownGuestBell, openDriverQueue, plannedCopier, faults, cursorBell);
    const openRemote = (guest: GuestMachine) => (task.remote === undefined ? null : new GuestRemote(task.remote, guest));
    return runGuestWith(task, parts, ownHostBell, ownGuestBell, make, openRemote);
  };
  if (task.transport === undefined) return run(hostBell, guestBell, null);
  const transport = new GuestTransport(task.transport, registers, clock, counters);
  try {
    return run(transport, transport, transport.cursorDoorbell);
  } finally {
    transport.close();
  }
}

/** A guest as its loop needs it: this project's own, or a recorded one. */
interface Guest {
  readonly compositor: Pick<
    GuestMachine['compositor'],
    'deadline' | 'busyNs' | 'committed' | 'committedOf' | 'failed' | 'running' | 'idle' | 'start'
  >;
  readonly driver: Pick<GuestMachine['driver'], 'prepareSleep' | 'endSleep' | 'reset'> & {
    readonly commands: { readonly inFlight: number };
  };
  readonly gpu: { readonly buffers: readonly unknown[] };
  readonly segments: number;
  readonly heldBytes: number;
  poll(): boolean;
  shutDown(): void;
}

function runGuestWith<G extends Guest>(
  task: SideTask,
  { clock, cells, registers, counters }: SideParts,
  hostBell: Doorbell,
  guestBell: Doorbell & Bell,
  makeGuest: () => G,
  openRemote: (guest: G) => GuestRemote | null,
): GuestReport {
  const { plan, window } = task;
  const { options } = plan;
  const check = new ClockCheck(clock, counters);
  registers.guestAlive = Alive.starting;
  // Others when the device was lost.
  let guest = openGuest(makeGuest, counters);
  let { compositor, driver }: Guest = guest;
  let remote = openRemote(guest);
  registers.guestAlive = Alive.running;

  const meter = new UsageMeter();
  const usage: ThreadUsage[] = [];
  const heads = options.heads;
  const firstFrame = new Array<number>(heads).fill(0);
  const endFrame = new Array<number>(heads).fill(0);
  const times = new Float64Array(8);
  const start = 0;
  const end = 1;
  const phaseEnd = 2;
  const windowEnd = 3;
  let phase: number = Phase.warmUp;
  let committedAtStart = 0;
  let framesMeasured = 0;
  let late = 0;
  const framesPerWindow = window.measureFrames > 0 ? Math.ceil(window.measureFrames / window.usageWindows) : 0;
  let windowFrames = 0;
  const spinAt = new Float64Array(2);
  const sleepAt = new Float64Array(2);
  const deadline = new Float64Array(1);
  /** Frames that guests before this one have committed, per head, and could not commit. */
  const earlier = new Array<number>(heads).fill(0);
  let failedEarlier = 0;
  const stuck = new StuckCheck(options, clock);

  const setPhase = (next: number): void => {
    phase = next;
    Atomics.store(cells, SessionWord.phase, next);
    hostBell.ring();
  };
  const beginMeasuring = (): void => {
    for (let head = 0; head < heads; head++) firstFrame[head] = compositor.committedOf(head);
    committedAtStart = compositor.committed;
    windowFrames = committedAtStart;
    setPhase(Phase.measuring);
    late = counters.get(Counter.vblankLate);
    spinAt[0] = counters.get(Counter.spinNs);
    sleepAt[0] = counters.get(Counter.sleepNs);
    meter.begin();
    clock.read();
    times[start] = clock.slot[0];
    times[phaseEnd] = window.measureMs > 0 ? times[start] + window.measureMs * 1e6 : Number.POSITIVE_INFINITY;
  };
  const endMeasuring = (): void => {
    clock.read();
    times[end] = clock.slot[0];
    usage.push(meter.end());
    late = counters.get(Counter.vblankLate) - late;
    spinAt[1] = counters.get(Counter.spinNs);
    sleepAt[1] = counters.get(Counter.sleepNs);
    framesMeasured = compositor.committed - committedAtStart;
    for (let head = 0; head < heads; head++) endFrame[head] = compositor.committedOf(head);
    compositor.running = false;
    setPhase(Phase.draining);
    times[phaseEnd] = Number.POSITIVE_INFINITY;
  };

  const advancePhase = (): void => {
    const now = clock.slot[0];
    if (phase === Phase.warmUp) {
      if (now >= times[phaseEnd] && compositor.committed >= window.warmupFrames) beginMeasuring();
    } else if (phase === Phase.measuring) {
      const done = window.measureFrames > 0 && compositor.committed - committedAtStart >= window.measureFrames;
      if (done || now >= times[phaseEnd]) endMeasuring();
      else if (framesPerWindow > 0 && window.usageWindows > 1 && compositor.committed - windowFrames >= framesPerWindow) {
        windowFrames = compositor.committed;
        usage.push(meter.end());
        meter.begin();
      }
    }
  };

  const side: Side = {
    deadline,
    get finished() {
      // Every FLUSH has been answered then, so the host has shown the last frame.
      return (phase === Phase.draining && compositor.idle && driver.commands.inFlight === 0) || registers.stopRequested;
    },
    turn(): boolean {
      clock.read();
      times[windowEnd] = clock.slot[0];
      const asked = remote?.poll() ?? false;
      const progressed = guest.poll() || asked;
      if (progressed) {
        clock.read();
        compositor.busyNs[0] += clock.slot[0] - times[windowEnd];
      }
      if (phase !== Phase.draining) advancePhase();
      deadline[0] = compositor.deadline[0];
      // Not one that has passed: a warm-up whose time is over sleeps like any other phase while frames are still due.
      if (times[phaseEnd] > clock.slot[0] && times[phaseEnd] < deadline[0]) deadline[0] = times[phaseEnd];
      return progressed;
    },
    prepareSleep(): boolean {
      const came = driver.prepareSleep();
      if (!came) stuck.look(compositor.committed, driver.commands.inFlight);
      return came;
    },
    endSleep: () => driver.endSleep(),
  };

  const reopen = (): void => {
    for (let head = 0; head < heads; head++) earlier[head] += compositor.committedOf(head);
    failedEarlier += compositor.failed;
    committedAtStart -= compositor.committed;
    windowFrames -= compositor.committed;
    firstFrame.fill(0);
    guest = reopenGuest(guest, makeGuest, counters);
    ({ compositor, driver } = guest);
    remote = openRemote(guest);
    stuck.reset();
    compositor.running = phase !== Phase.draining;
    compositor.start();
  };

  clock.read();
  times[phaseEnd] = clock.slot[0] + window.warmupMs * 1e6;
  compositor.start();
  let segments = 0;
  const run = (): void => {
    runLoop(side, guestBell, clock, counters, options.spinUs * 1000);
    if (phase === Phase.warmUp) beginMeasuring();
    if (phase === Phase.measuring) endMeasuring();
    segments = Math.max(segments, guest.segments);
    if (!registers.stopRequested) guest.shutDown();
  };
  while (!keepsDevice(run)) reopen();
  const totalFrames = Array.from({ length: heads }, (_, head) => earlier[head] + compositor.committedOf(head));
  check.end();
  if (!claimStop(cells)) standStill();
  registers.guestAlive = Alive.stopped;
  hostBell.ring();
  return {
    role: 'guest',
    firstFrame,
    endFrame,
    totalFrames,
    startNs: times[start],
    endNs: times[end],
    frames: framesMeasured,
    failedFrames: failedEarlier + compositor.failed,
    segments,
    usage,
    vblankLate: late,
    spinNs: spinAt[1] - spinAt[0],
    sleepNs: sleepAt[1] - sleepAt[0],
    heldAfterFree: guest.heldBytes,
    gpuBuffersAfterFree: guest.gpu.buffers.length,
  };
}
