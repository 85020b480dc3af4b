import { Copier, copyKernelNamed } from '../memory/copier.ts';
import type { Ledger } from '../memory/ledger.ts';
import { Feature } from '../protocol/constants.ts';
import type { MachineOptions } from './options.ts';

/** Makes a side's copier, which charges `ledger`. Replaced by tests that need one that cheats. */
export type MakeCopier = (options: MachineOptions, ledger: Ledger) => Copier;

/** The copier of the kernel that the options name. */
export const plannedCopier: MakeCopier = (options, ledger) => new Copier(copyKernelNamed(options.copier), ledger, options.handicapPercent);

/** Feature bits 32–63 that the device offers and the driver wants: VERSION_1 and those of the ring. */
export const ringFeaturesHi = (options: Pick<MachineOptions, 'ring' | 'inOrder'>): number =>
  (1 << (Feature.VERSION_1 - 32)) |
  (options.ring === 'packed' ? 1 << (Feature.RING_PACKED - 32) : 0) |
  (options.inOrder ? 1 << (Feature.IN_ORDER - 32) : 0);
