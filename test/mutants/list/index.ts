import type { Mutant } from '../mutant.ts';
import { DMABUF } from './dmabuf.ts';
import { FAULTS } from './faults.ts';
import { GUEST } from './guest.ts';
import { HOST } from './host.ts';
import { LEDGER } from './ledger.ts';
import { MEMORY } from './memory.ts';
import { PROTOCOL } from './protocol.ts';
import { RING_MUTANTS } from './ring.ts';

/** Every mutant, by subject. */
export const MUTANTS: readonly Mutant[] = [...MEMORY, ...PROTOCOL, ...DMABUF, ...HOST, ...GUEST, ...LEDGER, ...FAULTS, ...RING_MUTANTS];
