import type { pickCopyKernel } from '../../core/memory/copier.ts';
import type { Limits } from '../../reports/run-document.ts';
import { measureLimits } from './index.ts';

/** Limits, or none of them where a stop came before. */
export async function limitsOrNothing(seconds: number, copier: ReturnType<typeof pickCopyKernel>, signal: AbortSignal): Promise<Limits> {
  try {
    return await measureLimits({ seconds, copier, signal });
  } catch (error) {
    if (!signal.aborted) throw error;
    return noLimits(copier, 'stopped before it was measured');
  }
}

export const NOT_ASKED = 'not asked for';

/** @param reason why there are none */
export function noLimits(copier: ReturnType<typeof pickCopyKernel>, reason: string): Limits {
  const unavailable: Record<string, string> = {};
  for (const name of ['memcpyGBps', 'jsCopyGBps', 'jsCopyToMemcpyRatio', 'pingPongNs', 'jsPingPongNs', 'wakeUpUs'])
    unavailable[name] = reason;
  return {
    memcpyGBps: null,
    jsCopyGBps: null,
    jsCopyToMemcpyRatio: null,
    pingPongNs: null,
    jsPingPongNs: null,
    wakeUpUs: null,
    copyKernels: copier.measured,
    unavailable,
  };
}
