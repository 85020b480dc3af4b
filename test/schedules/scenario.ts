/** What the two sides do in a run: a few buffers through one queue, each side sleeping whenever it has nothing to do. */
import type { AddressSpace } from '../../core/memory/address-space.ts';
import type { MemoryRegion } from '../../core/memory/region.ts';
import { Chain } from '../../core/ring/chain.ts';
import type { AtomicsDoorbell } from '../../core/ring/doorbell.ts';
import type { DeviceQueue, DriverQueue } from '../../core/ring/queue.ts';

export interface Scenario {
  readonly ring: 'split' | 'packed';
  readonly inOrder: boolean;
  readonly eventIdx: boolean;
  readonly size: number;
  /** Buffers that go through the queue under the schedule. */
  readonly buffers: number;
  /** Of one chain: one writable, or a readable and a writable one, in the ring or in an indirect table. */
  readonly chain: 'single' | 'pair' | 'indirect';
  /**
   * Each side publishes all it has at once, and the device returns chains last first; else one publish for each chain,
   * returned as taken.
   */
  readonly batch: boolean;
  /** Where the free-running indices of a split ring start. */
  readonly start: number;
  /** Chains that go through before the schedule begins: they turn the packed ring's wrap counters. */
  readonly before: number;
}

/** The last words: where the indices start and the chains before the schedule. */
export const describeScenario = (s: Scenario): string =>
  `${s.ring}${s.inOrder ? ' in-order' : ''}${s.eventIdx ? ' event-idx' : ''} size ${s.size}, ${s.buffers} ${s.chain}` +
  `${s.batch ? ' batched' : ''}, ${s.start} + ${s.before}`;

/** Bytes of guest memory that each buffer has to itself. */
export const BUFFER_STRIDE = 64;
const WRITABLE_AT = 16;
const READABLE_BYTES = 4;
const WRITABLE_BYTES = 8;

/** Every other chain is written in part only. */
const writtenOf = (i: number): number => (i % 2 === 0 ? WRITABLE_BYTES : 4);
const requestOf = (i: number): number => 0x1000 + i;
const responseOf = (i: number): number => 0x2000 + i;

/** What a side has to work with; `region` is watched and begins at guest-physical 0. */
export interface Place {
  readonly region: MemoryRegion;
  readonly space: AddressSpace;
  /** Address of the first buffer. */
  readonly buffers: number;
  /** The doorbell this side sleeps on, and the other's. */
  readonly mine: AtomicsDoorbell;
  readonly peer: AtomicsDoorbell;
}

function expect(what: string, actual: number, expected: number): void {
  if (actual !== expected) throw new Error(`${what} is ${actual}, not ${expected}`);
}

/** @param arm called when the chains before the schedule are through */
export function runDriver(queue: DriverQueue, scenario: Scenario, place: Place, arm: () => void): void {
  const { region, buffers, mine, peer } = place;
  const total = scenario.before + scenario.buffers;
  const returned = new Uint8Array(total);
  let limit = scenario.before;
  let submitted = 0;
  let done = 0;
  const submit = (): boolean => {
    const at = buffers + submitted * BUFFER_STRIDE;
    queue.begin();
    if (scenario.chain !== 'single') {
      // RACE: the device reads the request after it has seen the chain.
      region.u32[at / 4] = requestOf(submitted);
      queue.readable(at, READABLE_BYTES);
    }
    queue.writable(at + WRITABLE_AT, WRITABLE_BYTES);
    return queue.submit(submitted);
  };
  queue.disableInterrupts();
  for (;;) {
    if (done === limit && limit < total) {
      limit = total;
      arm();
    }
    const sample = mine.sample();
    let progressed = false;
    while (queue.popUsed()) {
      const token = queue.usedToken;
      if (returned[token] !== 0) throw new Error(`buffer ${token} came back twice`);
      returned[token] = 1;
      if (scenario.inOrder) expect('with IN_ORDER the next token', token, done);
      expect(`buffer ${token}: length`, queue.usedLength, writtenOf(token));
      const at = buffers + token * BUFFER_STRIDE + WRITABLE_AT;
      // RACE: the device wrote the response before it made the buffer used.
      expect(`buffer ${token}: response`, region.u32[at / 4], responseOf(token));
      done++;
      progressed = true;
    }
    if (done < limit) {
      // A ring that is full refuses the chain before it writes anything; the request word is the next one's either way.
      while (submitted < limit && queue.free > 0 && submit()) {
        submitted++;
        progressed = true;
        if (!scenario.batch && queue.publish()) peer.ring();
      }
      if (scenario.batch && queue.publish()) peer.ring();
    }
    if (done === total) return;
    if (progressed) continue;
    if (!queue.enableInterrupts()) mine.blockUntilDeadline(sample);
    queue.disableInterrupts();
  }
}

const chain = new Chain();

export function runDevice(queue: DeviceQueue, scenario: Scenario, place: Place): void {
  const { region, buffers, mine, peer } = place;
  const total = scenario.before + scenario.buffers;
  const heads: number[] = [];
  const tokens: number[] = [];
  let taken = 0;
  let served = 0;
  const take = (): void => {
    const segments = scenario.chain === 'single' ? 1 : 2;
    expect(`chain ${taken}: segments`, chain.count, segments);
    expect(`chain ${taken}: bytes`, chain.writableBytes, WRITABLE_BYTES);
    const at = buffers + taken * BUFFER_STRIDE;
    expect(`chain ${taken}: address`, chain.offset[segments - 1], at + WRITABLE_AT);
    if (segments === 2) {
      expect(`chain ${taken}: address`, chain.offset[0], at);
      expect(`chain ${taken}: request`, region.u32[at / 4], requestOf(taken));
    }
    heads.push(chain.head);
    tokens.push(taken++);
  };
  const give = (): void => {
    const head = heads.pop();
    const token = tokens.pop();
    if (head === undefined || token === undefined) throw new Error('nothing to return');
    region.u32[(buffers + token * BUFFER_STRIDE + WRITABLE_AT) / 4] = responseOf(token);
    queue.push(head, writtenOf(token));
    served++;
  };
  queue.disableKicks();
  for (;;) {
    const sample = mine.sample();
    const before = taken;
    while (queue.pop(chain)) {
      take();
      if (scenario.batch) continue;
      give();
      if (queue.publish()) peer.ring();
    }
    while (heads.length > 0) give();
    if (scenario.batch && queue.publish()) peer.ring();
    if (served === total) return;
    if (taken !== before) continue;
    if (!queue.enableKicks()) mine.blockUntilDeadline(sample);
    queue.disableKicks();
  }
}
