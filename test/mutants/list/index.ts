import type { Mutant } from '../mutant.ts';
import { MEMORY } from './memory.ts';

/** Every mutant, by subject. */
export const MUTANTS: readonly Mutant[] = [...MEMORY];
