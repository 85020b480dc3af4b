import { DEFAULT_OPTIONS, type MachineOptions } from '../../core/machine/options.ts';
import { Counter, Counters } from '../../core/measure/counters.ts';
import { FRAME_COLUMNS, FrameColumn, FrameFlag, FrameLog } from '../../core/measure/frame-log.ts';
import { COPY_STAGES, CopyStage, Ledger } from '../../core/memory/ledger.ts';
import { InlineMachine, type InlineParts } from '../../workers/inline.ts';

/** Small, verified, paced as the suites are unless said otherwise. */
export function smallOptions(options: Partial<MachineOptions>): MachineOptions {
  const rateHz = options.rateHz === undefined ? null : options.rateHz;
  return {
    ...DEFAULT_OPTIONS,
    width: 640,
    height: 360,
    sink: 'verify',
    crcEvery: 10,
    logCapacity: 1024,
    scanoutUs: rateHz === null ? 0 : 2000,
    ...options,
    rateHz,
  };
}

/** What one run came to, both sides. */
export interface RunSummary {
  frames: number;
  presented: number;
  superseded: number;
  verified: number;
  crcChecked: number;
  torn: number;
  errors: number;
  timedOut: number;
  moves: number;
  movesRefused: number;
  reattached: number;
  fallbacks: number;
  /** By stage; those without any left out. */
  bytes: Partial<Record<(typeof COPY_STAGES)[number], number>>;
  copies: Partial<Record<(typeof COPY_STAGES)[number], number>>;
}

export function summary(plan: InlineMachine['plan'], frames: number): RunSummary {
  const host = new Counters(plan.hostCounters);
  const guest = new Counters(plan.guestCounters);
  const ledgers = [new Ledger(plan.guestLedger), new Ledger(plan.hostLedger)];
  const bytes: RunSummary['bytes'] = {};
  const copies: RunSummary['copies'] = {};
  for (const name of COPY_STAGES) {
    const total = ledgers.reduce((sum, ledger) => sum + ledger.bytesCopied(CopyStage[name]), 0);
    if (total === 0) continue;
    bytes[name] = total;
    copies[name] = ledgers.reduce((sum, ledger) => sum + ledger.copies(CopyStage[name]), 0);
  }
  return {
    frames,
    presented: host.get(Counter.framesPresented),
    superseded: host.get(Counter.superseded),
    verified: host.get(Counter.framesVerified),
    crcChecked: host.get(Counter.framesCrcChecked),
    torn: host.get(Counter.framesTorn),
    errors: host.get(Counter.errorResponses),
    timedOut: guest.get(Counter.fencesTimedOut),
    moves: guest.get(Counter.moves),
    movesRefused: guest.get(Counter.movesRefused),
    reattached: framesWith(plan, FrameColumn.guestFlags, FrameFlag.reattached).length,
    fallbacks: host.get(Counter.importFallbacks),
    bytes,
    copies,
  };
}

/** Rows of the frame log, head by head, whose column has a flag. */
export function framesWith(plan: InlineMachine['plan'], column: number, flag: number): number[] {
  const { heads, logCapacity } = plan.options;
  const log = new FrameLog(plan.frameLog, heads, logCapacity);
  const rows: number[] = [];
  for (let row = 0; row < heads * logCapacity; row++) if ((log.cells[row * FRAME_COLUMNS + column] & flag) !== 0) rows.push(row);
  return rows;
}

/** Runs a machine inline for at least `frames` frames, drains it and takes it down. */
export function runInline(
  options: Partial<MachineOptions>,
  frames: number,
  parts: InlineParts = {},
  during: (machine: InlineMachine) => void = () => {},
): { machine: InlineMachine; result: RunSummary } {
  const machine = new InlineMachine(smallOptions(options), parts);
  during(machine);
  machine.runFrames(frames);
  machine.drain();
  const result = summary(machine.plan, machine.guest.compositor.committed);
  machine.guest.freeBuffers();
  if (machine.host.device.resourceCount !== 0) throw new Error(`the host keeps ${machine.host.device.resourceCount} resources`);
  machine.guest.driver.reset();
  if (machine.host.device.budgetUsed !== 0) throw new Error('the host keeps memory');
  return { machine, result };
}
