import { SegmentList } from '../memory/segments.ts';
import { MEM_ENTRY_BYTES, MEM_ENTRY_WORDS, MemEntry } from '../protocol/layout.ts';
import { readChain } from '../ring/chain.ts';
import type { Context } from './context.ts';

const TWO_32 = 4294967296;

/**
 * Copies a command's memory entries out of shared memory and looks where each of them lies: all or nothing.
 * Nothing is allocated for a count past the limit (hostile-guest 46).
 * @param from byte of the request at which they begin @param count as the command claims
 * @returns false for too many, fewer than claimed, an empty entry, or one that does not lie in one present region
 */
export function resolveEntries(context: Context, from: number, count: number): boolean {
  if (count === 0 || count > context.options.maxEntries) return false;
  const bytes = count * MEM_ENTRY_BYTES;
  if (context.chain.readableBytes < from + bytes) return false;
  if (context.entryRegion.length < count) grow(context, count);
  const space = context.options.space;
  if (readChain(space, context.chain, from, context.entryBytes, 0, bytes) !== bytes) return false;
  const entries = context.entries;
  const memfds = context.memfds;
  let total = 0;
  let oneRegion = true;
  let allFds = true;
  let region = null;
  for (let i = 0; i < count; i++) {
    const at = i * MEM_ENTRY_WORDS;
    const address = entries[at + MemEntry.addrHi] * TWO_32 + entries[at + MemEntry.addrLo];
    const length = entries[at + MemEntry.length];
    if (length === 0) return false;
    // Most entries lie in the region of the one before.
    if (region === null || address < region.gpa || address + length > region.gpa + region.size) {
      if (!space.translate(address, length)) return false;
      const hit = space.hitRegion;
      if (hit === null) return false;
      if (region !== null) oneRegion = false;
      region = hit;
      if (region.id >= memfds.length || memfds[region.id] === null) allFds = false;
    }
    context.entryRegion[i] = region.id;
    context.entryOffset[i] = address - region.gpa;
    context.entryLength[i] = length;
    total += length;
  }
  context.entryTotal = total;
  context.entriesInOneRegion = oneRegion;
  context.entriesHaveFds = allFds;
  return true;
}

/** The resolved entries as a list of their own. */
export function entrySegments(context: Context, count: number): SegmentList {
  const list = new SegmentList(count);
  for (let i = 0; i < count; i++) {
    const region = context.options.space.regions[context.entryRegion[i]];
    if (region === null || region === undefined) throw new Error(`region ${context.entryRegion[i]} left while its entries were in use`);
    list.append(region, context.entryOffset[i], context.entryLength[i]);
  }
  return list;
}

function grow(context: Context, count: number): void {
  context.entries = new Uint32Array(count * MEM_ENTRY_WORDS);
  context.entryBytes = new Uint8Array(context.entries.buffer);
  context.entryRegion = new Int32Array(count);
  context.entryOffset = new Float64Array(count);
  context.entryLength = new Float64Array(count);
}
