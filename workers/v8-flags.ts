import v8 from 'node:v8';

/** Bytecode that may be inlined into one function, bytes; V8's own limit is 920. */
const INLINED_BYTECODE = 2400;

/**
 * Lets V8 inline all of a ring operation into the loop that calls it: what a queue holds are then constants of that loop
 * (docs/adr/0012). With its own limit V8 takes what it meets first, and the same loop takes one time or twice that from one
 * run to the next. Of the process, for what is compiled from here on; to be called before threads are made.
 */
export function inlineRings(): void {
  v8.setFlagsFromString(`--max-inlined-bytecode-size-cumulative=${INLINED_BYTECODE}`);
}
