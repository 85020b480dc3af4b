import type { MachineOptions } from '../../core/machine/options.ts';
import type { MachinePlan } from '../../core/machine/plan.ts';
import type { EncodeMetrics, ScenarioEncoder } from '../../reports/encode-document.ts';
import { median, ratioOfPairs } from '../../reports/statistics.ts';
import type { AloneReport } from '../../workers/encode/encode-task.ts';
import { encodeAlone } from '../../workers/encode/encode-thread.ts';
import { ENCODER_TITLES } from '../../workers/encode/hardware-encoder.ts';
import type { SessionOutcome } from '../../workers/session.ts';
import { isCrowded, type MeasuredRepetition } from '../metrics.ts';
import { OtherLoad } from '../other-load.ts';
import type { Timing } from '../timing.ts';
import { hardwareRecord } from './choice.ts';
import { EncodeFigures, encodeFigures } from './figures.ts';

/** Part of a repetition's time that the encoder by itself is measured for, before it. */
const ALONE_SHARE = 0.5;

/** Other programs that take more than this part of the CPUs disturb a repetition, percent. */
const MAX_OTHERS_PERCENT = 5;

/** What is to be known of the encoder and the machine before a repetition with more threads than the guest's and the host's. */
export interface BeforeEncoding {
  /** Null: nothing will be encoded. */
  readonly alone: AloneReport | null;
  readonly others: OtherLoad;
}

/** Measures what the encoder does by itself with the scenario's size. @returns null: there will be no more threads; a string: why it cannot be encoded */
export async function beforeEncoding(
  options: MachineOptions,
  kind: 'timed' | 'verify',
  timing: Timing,
): Promise<BeforeEncoding | string | null> {
  if (kind === 'verify') return null;
  if (options.sink !== 'encode') return isCrowded(options) ? { alone: null, others: new OtherLoad() } : null;
  try {
    const alone = await encodeAlone(options, Math.max(50, timing.measureMs * ALONE_SHARE));
    return { alone, others: new OtherLoad() };
  } catch (error) {
    return `the encoder by itself failed: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** The repetition with the figures of its encode thread, where it had one; disturbed where other programs took too much of the CPUs. */
export function withEncode(
  measured: MeasuredRepetition,
  plan: MachinePlan,
  outcome: SessionOutcome & { kind: 'done' },
  before: BeforeEncoding | null,
): MeasuredRepetition {
  const others = before?.others.percent() ?? 0;
  if (outcome.encode === undefined) return besideOthers(measured, others);
  const { samples, totals, repetition } = measured;
  const readback = totals.bytesByStage.readback > 0 ? samples.submitNs : 0;
  const { share } = outcome.encode;
  const encode = encodeFigures(plan, outcome.guest, share, before?.alone ?? null, readback + samples.transferNs, samples.presented);
  return besideOthers({ ...measured, encode, repetition: { ...repetition, encode: encode.metrics() } }, others);
}

function besideOthers(measured: MeasuredRepetition, percent: number): MeasuredRepetition {
  const { repetition } = measured;
  if (repetition.disturbed || percent <= MAX_OTHERS_PERCENT) return measured;
  const disturbedReason = `other programs took ${percent.toFixed(0)}% of the CPUs`;
  return { ...measured, repetition: { ...repetition, disturbed: true, disturbedReason } };
}

/** Of the repetitions that a scenario's results are drawn from; empty where nothing is encoded. */
export function encodeRecord(
  options: MachineOptions,
  used: readonly MeasuredRepetition[],
): { encode?: { results: { encode: EncodeMetrics }; encoder: ScenarioEncoder } } {
  const all = used.flatMap(({ encode }) => encode ?? []);
  if (all.length === 0) return {};
  const pooled = new EncodeFigures();
  for (const figures of all) pooled.add(figures);
  const alone = all.flatMap(({ aloneFps }) => aloneFps ?? []);
  const pairs = all.flatMap((figures) => {
    const { fps, aloneFps } = figures.metrics();
    return aloneFps === null || aloneFps <= 0 || fps <= 0 ? [] : [[fps, aloneFps] as const];
  });
  return {
    encode: {
      results: { encode: pooled.metrics(alone.length === 0 ? null : median(alone)) },
      encoder: {
        name: ENCODER_TITLES[options.encoder],
        ...hardwareRecord(options),
        maxRefreshHz: options.maxRefreshHz,
        toAlone: pairs.length === 0 ? null : ratioOfPairs(pairs),
      },
    },
  };
}
