import { HostMachine, hostView, plannedDisplays } from '../core/machine/host-machine.ts';
import { plannedCopier } from '../core/machine/parts.ts';
import { SessionWord } from '../core/machine/plan.ts';
import { Counter } from '../core/measure/counters.ts';
import { Alive } from '../core/ring/registers.ts';
import { ClockCheck } from './clock-check.ts';
import { openEncodeEnd } from './encode/host-end.ts';
import { hostFaults } from './faults.ts';
import { Phase } from './guest-side.ts';
import { runLoop, type Side } from './loop.ts';
import { openImportsOf } from './native/imports.ts';
import { HostRemote } from './remote.ts';
import { openSide } from './side.ts';
import type { HostReport, SideTask } from './task.ts';
import { type ThreadUsage, UsageMeter } from './thread-usage.ts';

/** Runs the host of a machine until the guest has gone or a stop is asked for. Blocks its thread until then. */
export function runHost(task: SideTask): HostReport {
  const { plan, window } = task;
  const { options } = plan;
  const { clock, cells, registers, counters, hostBell, guestBell } = openSide(plan, 'host');
  registers.hostAlive = Alive.starting;
  const imports = task.files === undefined ? null : openImportsOf(plan, task.files);
  // Whoever reads scattered pages of files sees one range, without a copy.
  const view = { ...hostView(plan.regions), ...(imports?.sideBySide === undefined ? {} : { sideBySide: imports.sideBySide }) };
  const encode = task.encode === undefined ? null : openEncodeEnd(plan, task.encode);
  const wrapSink = encode === null ? undefined : () => encode.sink;
  const host = new HostMachine(plan, clock, guestBell, plannedCopier, wrapSink, hostFaults(plan, counters), view);
  const check = new ClockCheck(clock, counters);
  const { device } = host;
  const remote = task.remote === undefined ? null : new HostRemote(task.remote, host, plannedDisplays(options));
  registers.hostAlive = Alive.running;

  const meter = new UsageMeter();
  const usage: ThreadUsage[] = [];
  const framesPerWindow = window.measureFrames > 0 ? Math.ceil(window.measureFrames / window.usageWindows) : 0;
  const spinAt = new Float64Array(2);
  const sleepAt = new Float64Array(2);
  let phase: number = Phase.warmUp;
  let windowFrames = 0;
  let late = 0;

  const advancePhase = (): void => {
    const next = Atomics.load(cells, SessionWord.phase);
    if (next !== phase) {
      if (phase === Phase.measuring) {
        usage.push(meter.end());
        late = counters.get(Counter.vblankLate) - late;
        spinAt[1] = counters.get(Counter.spinNs);
        sleepAt[1] = counters.get(Counter.sleepNs);
      }
      phase = next;
      if (phase === Phase.measuring) {
        late = counters.get(Counter.vblankLate);
        spinAt[0] = counters.get(Counter.spinNs);
        sleepAt[0] = counters.get(Counter.sleepNs);
        windowFrames = counters.get(Counter.framesPresented);
        meter.begin();
      }
    } else if (
      phase === Phase.measuring &&
      window.usageWindows > 1 &&
      counters.get(Counter.framesPresented) - windowFrames >= framesPerWindow
    ) {
      windowFrames += framesPerWindow;
      usage.push(meter.end());
      meter.begin();
    }
  };

  const side: Side = {
    deadline: device.deadline,
    get finished() {
      return registers.stopRequested || registers.guestAlive === Alive.stopped;
    },
    turn(): boolean {
      const progressed = device.poll();
      if (progressed) encode?.cursors?.show(device, counters, host.ledger);
      advancePhase();
      return (remote?.poll() ?? false) || progressed;
    },
    prepareSleep: () => device.prepareSleep(),
    endSleep: () => device.endSleep(),
  };
  try {
    runLoop(side, hostBell, clock, counters, options.spinUs * 1000);
  } finally {
    encode?.close();
    imports?.close();
  }
  check.end();
  registers.hostAlive = Alive.stopped;
  return {
    role: 'host',
    usage,
    vblankLate: late,
    spinNs: spinAt[1] - spinAt[0],
    sleepNs: sleepAt[1] - sleepAt[0],
    fallbacks: [...device.fallbacks],
    budgetAfterReset: device.budgetUsed,
    resourcesAfterReset: device.resourceCount,
    segmentsAfterReset: device.segmentsUsed,
    needsReset: device.needsReset,
  };
}
