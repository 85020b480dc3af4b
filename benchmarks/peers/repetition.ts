import { pathUsesBlob } from '../../core/machine/options.ts';
import { frameBytes, type MachinePlan, planMachine } from '../../core/machine/plan.ts';
import { monotonicNowNs } from '../../core/measure/clock.ts';
import { Counter, Counters } from '../../core/measure/counters.ts';
import { CopyStage, Ledger } from '../../core/memory/ledger.ts';
import { Libc } from '../../workers/native/libc.ts';
import type { GuestReport, HostReport, Window } from '../../workers/task.ts';
import { DisplayCount } from '../../workers/vhost-user/gpu-socket.ts';
import { GpuSocketServer } from '../../workers/vhost-user/gpu-socket-server.ts';
import { connectBackEnd } from '../../workers/vhost-user/guest-connect.ts';
import { runVhostUserGuest } from '../../workers/vhost-user/guest-run.ts';
import { MemoryDisplayServer } from '../../workers/vhost-user/memory-display-server.ts';
import { takeHostFigures } from '../host-figures.ts';
import { type MeasuredRepetition, measureRepetition } from '../metrics.ts';
import { OtherLoad } from '../other-load.ts';
import type { Scenario } from '../scenarios.ts';
import { type BackEnd, type BackEnds, isChain } from './back-ends.ts';
import { CpuMeter } from './cpu-meter.ts';
import { onOneCpu } from './one-cpu.ts';

/** Other programs may use so much of all CPUs, percent, before they disturb a repetition. */
const MAX_OTHERS_PERCENT = 5;

/** What is to be measured, and how long. */
interface Asked {
  readonly scenario: Scenario;
  readonly kind: 'timed' | 'verify';
  readonly options: Scenario['options'];
  readonly window: Window;
  readonly signal: AbortSignal;
}

/** Measures a scenario whose host is another process. @returns the repetition; null: aborted; a string: why it failed */
export async function runPeerRepetition(backEnds: BackEnds, asked: Asked): Promise<MeasuredRepetition | string | null> {
  const { scenario, signal } = asked;
  const libc = Libc.load();
  if (typeof libc === 'string') return libc;
  let backEnd: BackEnd | null = null;
  try {
    backEnd = await backEnds.open(libc, scenario, signal);
    const measured = await measure(libc, backEnd, asked);
    if (typeof measured === 'string') backEnds.discard(backEnd);
    return measured;
  } catch (error) {
    if (backEnd !== null) backEnds.discard(backEnd);
    if (signal.aborted) return null;
    return error instanceof Error ? error.message : String(error);
  }
}

async function measure(libc: Libc, backEnd: BackEnd, asked: Asked): Promise<MeasuredRepetition | string | null> {
  const { scenario, kind, options, window, signal } = asked;
  const startedAt = new Date();
  const plan = planMachine(options, monotonicNowNs());
  const offer = await connectBackEnd(libc, backEnd.socket, signal);
  const faulty = new AbortController();
  const meter = new CpuMeter([backEnd.pid]);
  const placed = <T>(start: () => T): T => (isChain(scenario) ? onOneCpu(libc, start) : start());
  let server: GpuSocketServer | MemoryDisplayServer | null = null;
  let ended: ReturnType<BackEnd['sessionEnd']> | null = null;
  try {
    const { width, height, heads, logCapacity } = options;
    const log = { buffer: plan.frameLog, capacity: logCapacity, originNs: plan.originNs };
    const verify = kind === 'verify';
    server = pathUsesBlob(options.path)
      ? placed(() => new MemoryDisplayServer(libc, offer.front, { heads, verify, log }))
      : new GpuSocketServer(libc, offer.front, { width, height, heads, refreshHz: 60, verify, log }, () => faulty.abort());
    if (server instanceof MemoryDisplayServer) await server.ready;
    const others = new OtherLoad(server instanceof MemoryDisplayServer ? [backEnd.pid, server.pid] : [backEnd.pid]);
    const end = await placed(() => runVhostUserGuest(libc, offer, plan, window, AbortSignal.any([signal, faulty.signal])));
    meter.stop();
    const percent = others.percent();
    ended = backEnd.sessionEnd();
    offer.front.close();
    const figures = await ended;
    await server.close();
    if (server.fault !== null) return server.fault;
    if (end.kind === 'peer') return end.why;
    if (end.kind === 'stopped' || signal.aborted) return null;
    const { report } = end;
    const shown = server.get(DisplayCount.updates);
    if (figures === null) takeQemuFigures(plan, report, shown);
    else takeHostFigures(figures, plan);
    const torn = server.get(DisplayCount.torn);
    const hostCounters = new Counters(plan.hostCounters);
    hostCounters.add(Counter.framesVerified, server.get(DisplayCount.verified));
    hostCounters.add(Counter.framesTorn, torn);
    const wrong = whatIsWrong(server, report, options);
    if (wrong !== null) return wrong;
    const { cpuNs } = meter.between(plan.originNs + report.startNs, plan.originNs + report.endNs);
    const measured = measureRepetition(plan, report, hostReport(cpuNs), kind, startedAt, false);
    const disturbedReason = percent > MAX_OTHERS_PERCENT ? `other programs used ${percent.toFixed(0)}% of the CPUs` : null;
    return { ...measured, repetition: { ...measured.repetition, disturbed: disturbedReason !== null, disturbedReason } };
  } finally {
    meter.stop();
    ended?.catch(() => {});
    offer.front.close();
    await server?.close();
  }
}

/** What the display saw that must not be; null: nothing. */
function whatIsWrong(
  server: GpuSocketServer | MemoryDisplayServer,
  report: GuestReport,
  { buffers, transferOnly }: Scenario['options'],
): string | null {
  const unordered = server.get(DisplayCount.unordered);
  if (unordered > 0) return `${unordered} frames came out of order`;
  const frames = report.totalFrames.reduce((sum, one) => sum + one, 0);
  const shown = server.get(DisplayCount.updates);
  // Those that are still on their way at the end go with their buffers.
  const due = transferOnly ? Math.min(1, frames) : frames - 2 * buffers;
  return shown < due ? `the display was sent ${shown} of ${frames} frames` : null;
}

/**
 * What QEMU's device does to a frame, by its source (contrib/vhost-user-gpu/vhost-user-gpu.c): vg_transfer_to_host_2d copies it into a
 * pixman image; vg_resource_flush composites that into a message, which vg_sock_fd_write sends.
 */
function takeQemuFigures(plan: MachinePlan, report: GuestReport, shown: number): void {
  const bytes = frameBytes(plan.options);
  const frames = report.totalFrames.reduce((sum, one) => sum + one, 0);
  const ledger = new Ledger(plan.hostLedger);
  ledger.add(CopyStage.transfer, frames, frames * bytes);
  ledger.add(CopyStage.upload, 2 * shown, 2 * shown * bytes);
  new Counters(plan.hostCounters).add(Counter.framesPresented, shown);
}

/** Of a host that says nothing of its threads. */
const hostReport = (cpuNs: number): HostReport => ({
  role: 'host',
  usage: [{ cpuUs: cpuNs / 1000, runQueueWaitNs: null, collections: 0, heapBytes: null }],
  vblankLate: 0,
  spinNs: 0,
  sleepNs: 0,
  fallbacks: [],
  budgetAfterReset: 0,
  resourcesAfterReset: 0,
  segmentsAfterReset: 0,
  needsReset: false,
});
