import type * as FastCheck from 'fast-check';
import { commandName, Response, responseName } from '../../core/protocol/constants.ts';
import type { CorpusChain, CorpusTrace } from './corpus.ts';
import { hold } from './failure.ts';
import { FuzzHost, type Part } from './host.ts';
import type { FuzzMemory } from './memory.ts';
import type { RingKind, Watched } from './plan.ts';

/** Bytes of each region: requests of 8100 entries, and pages for them, which may be entered more than once. */
export const TRACE_REGION_BYTES = 6 << 20;
/** Pixels lie from here on. */
export const TRACE_PIXELS = 2 << 20;
const SLOTS = 8;
const SLOT_BYTES = 160 << 10;
const MOST_CHAINS = 64;
const MOST_BUFFERS = 8;

/** One change to what the guest did. */
interface Edit {
  /** Chain, modulo their number. */
  readonly at: number;
  readonly how: (typeof EDITS)[number];
  readonly a: number;
  readonly b: number;
}

const EDITS = ['word', 'word', 'word', 'word', 'flip', 'cut', 'drop', 'repeat', 'swap', 'split', 'writable', 'length', 'region'] as const;

interface Input {
  readonly trace: number;
  /** Chains from the trace's beginning. */
  readonly length: number;
  /** Time between two chains, ns. */
  readonly ns: number;
  readonly edits: readonly Edit[];
  readonly profile: 'series' | 'qemu-10.2';
  readonly policy: 'copy' | 'error';
}

/** What recorded guests did, a few things changed. @param watched runs each of them */
export function traceProperty(
  fc: typeof FastCheck,
  memory: FuzzMemory,
  kind: RingKind,
  corpus: readonly CorpusTrace[],
  watched: Watched,
): FastCheck.IProperty<[Input]> {
  const value = fc.oneof(
    fc.nat(16),
    fc.constantFrom(64, 1080, 4096, 16384, 16385, 0x7fffffff, 0x80000000, 0xfffff000, 0xffffffff),
    fc.nat(0xffffffff),
  );
  const edit = fc.record({ at: fc.nat(MOST_CHAINS - 1), how: fc.constantFrom(...EDITS), a: fc.nat(1023), b: value });
  const input = fc.record({
    trace: fc.nat(corpus.length - 1),
    length: fc.integer({ min: 1, max: MOST_CHAINS }),
    ns: fc.constantFrom(0, 100, 3000),
    edits: fc.array(edit, { maxLength: 6 }),
    profile: fc.constantFrom('series', 'series', 'qemu-10.2') as FastCheck.Arbitrary<Input['profile']>,
    policy: fc.constantFrom('copy', 'copy', 'error') as FastCheck.Arbitrary<Input['policy']>,
  });
  return fc.property(input, (chosen) => {
    watched(() => play(newHost(memory, kind, chosen), corpus[chosen.trace], chosen));
  });
}

function newHost(memory: FuzzMemory, kind: RingKind, { profile, policy }: Input): FuzzHost {
  return new FuzzHost(memory, {
    ...kind,
    profile,
    policy,
    regionBytes: TRACE_REGION_BYTES,
    scanoutNs: 1000,
    slots: SLOTS,
    slotBytes: SLOT_BYTES,
  });
}

function play(host: FuzzHost, trace: CorpusTrace, { length, ns, edits, profile, policy }: Input): void {
  const { device } = host.rig;
  const sent = new Map<number, Uint8Array>();
  let errors = '';
  const collect = (): void => {
    hold(!device.needsReset, `a valid ring was taken for a broken one: ${device.ringError?.message}`);
    for (const [token, bytes] of sent) {
      if (!host.answers.has(token)) continue;
      const type = host.typeOf(token, bytes);
      if (type >= Response.ERR_UNSPEC) errors ||= `${commandName(typeOf(bytes))} was answered ${responseName(type)}`;
      sent.delete(token);
      host.answers.delete(token);
    }
  };
  for (const step of edited(trace.chains.slice(0, length), edits)) {
    if ('region' in step) {
      device.setRegionPresent(step.region, (host.rig.space.regions[step.region] ?? null) === null);
      continue;
    }
    if (!host.hasRoom) host.settle();
    const parts = (list: readonly number[]): Part[] => list.filter((bytes) => bytes > 0).map((bytes) => ({ length: bytes }));
    sent.set(host.post(step.bytes, parts(step.readable), parts(step.writable), step.cursor), step.bytes);
    host.pass(ns);
    collect();
  }
  host.settle();
  collect();
  const plain = edits.length === 0 && profile === 'series' && policy === 'copy';
  hold(!plain || errors === '', `unchanged, ${trace.name}: ${errors}`);
  host.finish();
}

const typeOf = (bytes: Uint8Array): number => (bytes.length < 4 ? 0 : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true));

function edited(chains: readonly CorpusChain[], edits: readonly Edit[]): (CorpusChain | { region: number })[] {
  const list: (CorpusChain | { region: number })[] = [...chains];
  for (const { at, how, a, b } of edits) {
    const i = at % list.length;
    const step = list[i];
    if (how === 'region') list.splice(i, 0, { region: 1 + (a % 3) });
    else if (how === 'swap') [list[i], list[(i + a) % list.length]] = [list[(i + a) % list.length], step];
    else if (how === 'repeat') list.splice((i + a) % list.length, 0, step);
    else if (how === 'drop' && list.length > 1) list.splice(i, 1);
    else if (!('region' in step)) list[i] = editedChain(step, how, a, b);
  }
  return list;
}

function editedChain(chain: CorpusChain, how: Edit['how'], a: number, b: number): CorpusChain {
  if (how === 'writable') return { ...chain, writable: chain.cursor ? [] : [[0], [23], [24], [408], [8, 16], [1056]][a % 6] };
  if (how === 'split') return { ...chain, readable: pieces(chain.bytes.length, 1 + (a % MOST_BUFFERS)) };
  if (how === 'cut') return resized(chain, Math.max(1, chain.bytes.length - 1 - (a % 48)));
  if (how === 'length') return resized(chain, chain.bytes.length + (a % 64));
  if (how === 'drop') return chain;
  const words = new Uint32Array(chain.bytes.slice(0, chain.bytes.length & ~3).buffer);
  if (words.length === 0) return chain;
  // Headers and bodies more often than the long lists behind them.
  const at = a % Math.min(words.length, b % 2 === 0 ? 24 : words.length);
  if (how === 'word') words[at] = b;
  else words[at] ^= 1 << (b & 31);
  return {
    ...chain,
    bytes: new Uint8Array(words.buffer),
    readable: words.length * 4 === chain.bytes.length ? chain.readable : [words.length * 4],
  };
}

function resized(chain: CorpusChain, length: number): CorpusChain {
  const bytes = new Uint8Array(length);
  bytes.set(chain.bytes.subarray(0, length));
  return { ...chain, bytes, readable: [length] };
}

/** `bytes` in `count` buffers. */
function pieces(bytes: number, count: number): number[] {
  const each = Math.max(1, Math.floor(bytes / count));
  const list = Array.from({ length: Math.min(count, bytes) }, () => each);
  list[list.length - 1] += bytes - each * list.length;
  return list;
}
