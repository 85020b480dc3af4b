import { Feature } from '../protocol/constants.ts';
import type { HostOptions } from './options.ts';

/**
 * The driver's features, read once, if they are acceptable: nothing that was not offered, and no bit without the one it
 * depends on (virtio 1.3 § 5.7.3). @returns bits 0–31 and 32–63, or null
 */
export function negotiate({
  registers,
  offeredFeatures,
}: Pick<HostOptions, 'registers' | 'offeredFeatures'>): { lo: number; hi: number } | null {
  const lo = registers.driverFeaturesLo;
  const hi = registers.driverFeaturesHi;
  if ((lo & ~offeredFeatures.lo) !== 0 || (hi & ~offeredFeatures.hi) !== 0) return null;
  const has = (bit: number): boolean => ((lo >>> bit) & 1) !== 0;
  if (has(Feature.CONTEXT_INIT) && !has(Feature.VIRGL)) return null;
  if (has(Feature.BLOB_ALIGNMENT) && !has(Feature.RESOURCE_BLOB)) return null;
  return { lo, hi };
}
