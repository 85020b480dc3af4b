import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BAR, HIGH } from '../../core/machine/testing/host-rig.ts';
import { Command } from '../../core/protocol/constants.ts';
import { AttachBacking, CreateBlob, MEM_ENTRY_WORDS, MemEntry } from '../../core/protocol/layout.ts';
import { parseTrace, type Trace } from '../../core/trace/trace.ts';

/** A chain of a real guest, its memory entries moved into the fuzzed host's regions. */
export interface CorpusChain {
  readonly cursor: boolean;
  readonly readable: readonly number[];
  readonly writable: readonly number[];
  readonly bytes: Uint8Array;
}

/** The chains of one recorded guest. */
export interface CorpusTrace {
  readonly name: string;
  readonly chains: readonly CorpusChain[];
}

const TWO_32 = 4294967296;
const PAGE = 4096;

/**
 * The traces of a folder as a corpus, in the order of their names.
 * @param regionBytes of each of the fuzzed host's regions @param first byte there from which on guests' pixels may lie
 */
export function loadCorpus(folder: string, regionBytes: number, first: number): CorpusTrace[] {
  const names = readdirSync(folder)
    .filter((name) => name.endsWith('.jsonl'))
    .sort();
  return names.map((name) => ({ name, chains: chainsOf(parseTrace(readFileSync(join(folder, name), 'utf8')), regionBytes, first) }));
}

function chainsOf(trace: Trace, regionBytes: number, first: number): CorpusChain[] {
  const chains: CorpusChain[] = [];
  let devices: { gpa: number; size: number }[] = [];
  for (const record of trace.records) {
    if (record.kind === 'regions') devices = record.regions.filter(({ kind }) => kind === 'device');
    if (record.kind !== 'chain') continue;
    const bytes = record.request.slice();
    moveEntries(bytes, devices, regionBytes, first);
    chains.push({ cursor: record.queue === 1, readable: record.readable, writable: record.writable, bytes });
  }
  return chains;
}

/** Moves the entries of a request to where the fuzzed host has memory: RAM to RAM, a device's to a device's. */
function moveEntries(bytes: Uint8Array, devices: readonly { gpa: number; size: number }[], regionBytes: number, first: number): void {
  if (bytes.length % 4 !== 0 || bytes.length < 32) return;
  const words = new Uint32Array(bytes.buffer);
  const attach = words[0] === Command.RESOURCE_ATTACH_BACKING;
  if (!attach && words[0] !== Command.RESOURCE_CREATE_BLOB) return;
  for (let at: number = attach ? AttachBacking.entries : CreateBlob.entries; at + MEM_ENTRY_WORDS <= words.length; at += MEM_ENTRY_WORDS) {
    const address = words[at + MemEntry.addrHi] * TWO_32 + words[at + MemEntry.addrLo];
    const device = devices.some(({ gpa, size }) => address >= gpa && address < gpa + size);
    const room = regionBytes - first - words[at + MemEntry.length];
    const page = room < PAGE ? 0 : Math.floor(address / PAGE) % Math.floor(room / PAGE);
    const moved = (device ? BAR : HIGH) + first + page * PAGE;
    words[at + MemEntry.addrLo] = moved % TWO_32;
    words[at + MemEntry.addrHi] = Math.floor(moved / TWO_32);
  }
}
