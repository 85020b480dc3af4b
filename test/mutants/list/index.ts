import type { Mutant } from '../mutant.ts';
import { DMABUF } from './dmabuf.ts';
import { FAULTS } from './faults.ts';
import { GUEST } from './guest.ts';
import { HOST_DEVICE } from './host-device.ts';
import { HOST_RESOURCES } from './host-resources.ts';
import { LEDGER } from './ledger.ts';
import { MEMORY } from './memory.ts';
import { PROTOCOL } from './protocol.ts';
import { RING_MUTANTS } from './ring.ts';
import { TRACE_MUTANTS } from './trace.ts';
import { VHOST_USER } from './vhost-user.ts';

/** Every mutant, by subject. */
export const MUTANTS: readonly Mutant[] = [
  ...MEMORY,
  ...PROTOCOL,
  ...DMABUF,
  ...HOST_RESOURCES,
  ...HOST_DEVICE,
  ...GUEST,
  ...LEDGER,
  ...FAULTS,
  ...RING_MUTANTS,
  ...TRACE_MUTANTS,
  ...VHOST_USER,
];
