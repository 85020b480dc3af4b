import { Feature } from '../protocol/constants.ts';
import type { Context } from './context.ts';

/**
 * Takes the driver's features, read once, if they are acceptable: nothing that was not offered, and no bit without the one it
 * depends on (virtio 1.3 § 5.7.3). @returns false when they are not: those in force stay
 */
export function negotiate(context: Context): boolean {
  const { registers, offeredFeatures } = context.options;
  const lo = registers.driverFeaturesLo;
  const hi = registers.driverFeaturesHi;
  if ((lo & ~offeredFeatures.lo) !== 0 || (hi & ~offeredFeatures.hi) !== 0) return false;
  const has = (bit: number): boolean => ((lo >>> bit) & 1) !== 0;
  if (has(Feature.CONTEXT_INIT) && !has(Feature.VIRGL)) return false;
  if (has(Feature.BLOB_ALIGNMENT) && !has(Feature.RESOURCE_BLOB)) return false;
  context.features = lo;
  context.featuresHi = hi;
  return true;
}
