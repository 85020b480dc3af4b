/**
 * What this machine can do at best, measured in the same run as everything else: reports show each result as a
 * ratio to these, so that figures of two machines can be compared.
 */
import { MonotonicClock, monotonicNowNs } from '../../core/measure/clock.ts';
import { type CopyKernel, pickCopyKernel } from '../../core/memory/copier.ts';
import type { Limits } from '../../reports/run-document.ts';
import { findCompiler } from '../compiler.ts';
import type { Measured } from './available.ts';
import { measureCPingPong } from './c-ping-pong.ts';
import { measureJsPingPong } from './js-ping-pong.ts';
import { loadLibc } from './libc.ts';
import { compareCopies } from './memcpy.ts';
import { measureWakeUp } from './wake-up.ts';

export interface LimitsOptions {
  /** Time for everything together; 5 unless told, at least 1. */
  seconds?: number;
  /** 1.5 seconds in all. */
  quick?: boolean;
  /** What `pickCopyKernel` picked for the run; picked here when absent. */
  copier?: { kernel: CopyKernel; measured: { name: string; gigabytesPerSecond: number }[] };
  /** Ends the measurement early: `measureLimits` then rejects with the signal's reason, its threads and processes gone. */
  signal?: AbortSignal;
}

const FULL_SECONDS = 5;
const QUICK_SECONDS = 1.5;
/** For the compiler and the start of four workers. */
const OVERHEAD_SECONDS = 0.7;

export async function measureLimits(options: LimitsOptions = {}): Promise<Limits> {
  const { signal } = options;
  const total = Math.max(1, options.seconds ?? (options.quick ? QUICK_SECONDS : FULL_SECONDS));
  const end = monotonicNowNs() + total * 1e9;
  const timed = total - OVERHEAD_SECONDS;
  /** A share of what is left, so that a slow beginning does not make the whole late. */
  const share = (of: number) => Math.max(0.05, Math.min(of * timed, ((end - monotonicNowNs()) / 1e9 - 0.1) * of));

  const copier = options.copier ?? pickCopyKernel(new MonotonicClock(monotonicNowNs()));
  const unavailable: Record<string, string> = {};
  function take<T>(measured: Measured<T>, ...names: string[]): T | null {
    if ('value' in measured) return measured.value;
    for (const name of names) unavailable[name] = measured.unavailable;
    return null;
  }

  const copies = await compareCopies(copier.kernel, await loadLibc(), share(0.5), signal);
  const memcpy = take(copies.memcpy, 'memcpyGBps', 'jsCopyToMemcpyRatio');
  const pingPongNs = take(await measureCPingPong(await findCompiler(), share(0.1), signal), 'pingPongNs');
  const jsPingPongNs = take(await measureJsPingPong(share(0.15), signal), 'jsPingPongNs');
  const wakeUpUs = take(await measureWakeUp(share(0.2), signal), 'wakeUpUs');
  return {
    memcpyGBps: memcpy?.gigabytesPerSecond ?? null,
    jsCopyGBps: copies.jsCopyGBps,
    jsCopyToMemcpyRatio: memcpy?.jsToMemcpy ?? null,
    pingPongNs,
    jsPingPongNs,
    wakeUpUs,
    copyKernels: copier.measured,
    unavailable,
  };
}
