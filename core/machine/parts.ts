import { Copier, copyKernelNamed } from '../memory/copier.ts';
import type { Ledger } from '../memory/ledger.ts';
import type { MachineOptions } from './options.ts';

/** Makes a side's copier, which charges `ledger`. Replaced by tests that need one that cheats. */
export type MakeCopier = (options: MachineOptions, ledger: Ledger) => Copier;

/** The copier of the kernel that the options name. */
export const plannedCopier: MakeCopier = (options, ledger) => new Copier(copyKernelNamed(options.copier), ledger);
