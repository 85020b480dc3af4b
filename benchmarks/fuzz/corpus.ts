import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BAR, HIGH } from '../../core/machine/testing/host-rig.ts';
import { Command } from '../../core/protocol/constants.ts';
import { AttachBacking, CreateBlob, MEM_ENTRY_WORDS, MemEntry } from '../../core/protocol/layout.ts';
import { parseTrace, type Trace } from '../../core/trace/trace.ts';
import { entry } from './words.ts';

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
/** Most bytes of an entry: a frame in one piece is longer than a region. */
const PIECE = 1 << 20;

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
    const { bytes, readable } = moved(record.request, record.readable, devices, regionBytes, first);
    chains.push({ cursor: record.queue === 1, readable, writable: record.writable, bytes });
  }
  return chains;
}

/**
 * A request with its entries moved to where the fuzzed host has memory: RAM to RAM, a device's to a device's. An entry
 * larger than PIECE becomes several.
 */
function moved(
  request: Uint8Array,
  readable: readonly number[],
  devices: readonly { gpa: number; size: number }[],
  regionBytes: number,
  first: number,
): { bytes: Uint8Array; readable: readonly number[] } {
  const words = new Uint32Array(request.slice(0, request.length & ~3).buffer);
  const attach = words[0] === Command.RESOURCE_ATTACH_BACKING;
  if (request.length % 4 !== 0 || (!attach && words[0] !== Command.RESOURCE_CREATE_BLOB)) return { bytes: request.slice(), readable };
  const from: number = attach ? AttachBacking.entries : CreateBlob.entries;
  const entries: number[] = [];
  for (let at = from; at + MEM_ENTRY_WORDS <= words.length; at += MEM_ENTRY_WORDS) {
    const address = words[at + MemEntry.addrHi] * TWO_32 + words[at + MemEntry.addrLo];
    const base = (devices.some(({ gpa, size }) => address >= gpa && address < gpa + size) ? BAR : HIGH) + first;
    for (let left = words[at + MemEntry.length]; left > 0; left -= PIECE) {
      const page = (Math.floor(address / PAGE) + entries.length) % Math.floor((regionBytes - first - PIECE) / PAGE);
      entries.push(...entry(base + page * PAGE, Math.min(left, PIECE)));
    }
  }
  words[attach ? AttachBacking.nrEntries : CreateBlob.nrEntries] = entries.length / MEM_ENTRY_WORDS;
  const bytes = new Uint8Array(Uint32Array.of(...words.subarray(0, from), ...entries).buffer);
  // As the guest cut it, but for what has come on top.
  const cut = [...readable];
  cut[cut.length - 1] += bytes.length - request.length;
  return { bytes, readable: cut };
}
