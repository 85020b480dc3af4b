import { RingError } from './queue.ts';

/** What a driver did that ends the queue: the rule's stable word, and what it means. */
const MEANINGS = {
  'address-overflow': 'a buffer reaches past 2^53 − 1',
  'avail-ahead': 'more was made available than the ring has free',
  'avail-backwards': 'the available index went backwards',
  'base-range': 'no place in the ring to go on from',
  'chain-bytes': 'a chain is longer than 2^32 bytes',
  'chain-too-long': 'a chain has too many buffers',
  'empty-chain': 'a chain has no bytes',
  'head-in-flight': 'a head or buffer id is in flight already',
  'head-range': 'a head or buffer id is not below the queue size',
  'indirect-length': 'an indirect table has a length that no table has',
  'indirect-nested': 'an indirect table names another',
  'indirect-next': 'INDIRECT and NEXT together',
  'indirect-not-negotiated': 'INDIRECT was not negotiated',
  loop: 'a chain has more descriptors than its table',
  'next-range': 'a next index is past the end of its table',
  'outside-memory': 'a buffer is not in memory',
  'readable-after-writable': 'a readable buffer follows a writable one',
  'unknown-flags': 'a descriptor has unknown flags',
  'used-ring-overlap': 'a buffer overlaps what the device writes of the ring',
  'wrong-wrap': 'a slot is in a state of the wrong wrap counter',
} as const;

export type RingRule = keyof typeof MEANINGS;

/**
 * The error of a broken rule. Made here, out of line, for the checks stand in code that runs for every descriptor.
 * @param value the offending one: an index, a length, flags
 */
export function ringError(rule: RingRule, value: number): RingError {
  return new RingError(rule, `${MEANINGS[rule]} (${value})`);
}

/** @param head of a chain that is returned: the head of its descriptors, or its buffer id */
export function notInFlight(head: number): RangeError {
  return new RangeError(`head ${head} is not in flight`);
}
