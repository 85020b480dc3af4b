/** Bugs to be planted: each must be found by a schedule of few preemptions in the scenario named. */
import type { Edit } from './edits.ts';
import type { Scenario } from './scenario.ts';

const SPLIT_DRIVER = 'core/ring/split/driver.ts';
const SPLIT_DEVICE = 'core/ring/split/device.ts';
const SPLIT_LAYOUT = 'core/ring/split/layout.ts';
const PACKED_DRIVER = 'core/ring/packed/driver.ts';
const PACKED_DEVICE = 'core/ring/packed/device.ts';
const DOORBELL = 'core/ring/doorbell.ts';

/** Where each side's `publish` begins. */
const PUBLISH = '  publish(): boolean {\n';

export interface Planted {
  readonly name: string;
  readonly edits: readonly Edit[];
  /** What a scenario must be for the bug to show. */
  readonly where: Partial<Scenario>;
  /** What the finding says. */
  readonly shows: RegExp;
}

const SLEEPS = /sleep/;

export const PLANTED: readonly Planted[] = [
  {
    name: 'split driver: no look at the used index after asking for interrupts',
    edits: [
      {
        file: SPLIT_DRIVER,
        from: `    return this.lastUsed !== this.usedSeen || this.usedAtomics.load16(2 * (this.used + USED_IDX)) !== this.lastUsed;\n`,
        to: '    return false;\n',
      },
    ],
    where: { ring: 'split', eventIdx: true, size: 1 },
    shows: SLEEPS,
  },
  {
    name: 'split driver: looks at the used index before it asks for interrupts',
    edits: [
      {
        file: SPLIT_DRIVER,
        from: '    if (this.eventIdx) this.availAtomics.store16(2 * this.usedEvent, this.lastUsed);\n',
        to:
          '    const there = this.usedAtomics.load16(2 * (this.used + USED_IDX)) !== this.lastUsed;\n' +
          '    if (this.eventIdx) this.availAtomics.store16(2 * this.usedEvent, this.lastUsed);\n',
      },
      {
        file: SPLIT_DRIVER,
        from: `    return this.lastUsed !== this.usedSeen || this.usedAtomics.load16(2 * (this.used + USED_IDX)) !== this.lastUsed;\n`,
        to: '    return there;\n',
      },
    ],
    where: { ring: 'split', eventIdx: false, size: 2 },
    shows: SLEEPS,
  },
  {
    name: 'split device: no look at the available index after asking for kicks',
    edits: [
      {
        file: SPLIT_DEVICE,
        from: `    return this.lastAvail !== this.availSeen || this.availAtomics.load16(2 * (this.avail + AVAIL_IDX)) !== this.lastAvail;\n`,
        to: '    return false;\n',
      },
    ],
    where: { ring: 'split', eventIdx: false, size: 2 },
    shows: SLEEPS,
  },
  {
    name: 'split driver: looks at the event index before it stores the available index',
    edits: [
      {
        file: SPLIT_DRIVER,
        from: PUBLISH,
        to: `${PUBLISH}    const event = this.usedAtomics.load16(2 * this.availEvent);\n`,
      },
      {
        file: SPLIT_DRIVER,
        from: 'needEvent(this.usedAtomics.load16(2 * this.availEvent), next, old)',
        to: 'needEvent(event, next, old)',
      },
    ],
    where: { ring: 'split', eventIdx: true, size: 2 },
    shows: SLEEPS,
  },
  {
    name: 'split device: looks at the interrupt flag before it stores the used index',
    edits: [
      {
        file: SPLIT_DEVICE,
        from: PUBLISH,
        to: `${PUBLISH}    const flags = this.availAtomics.load16(2 * (this.avail + AVAIL_FLAGS));\n`,
      },
      {
        file: SPLIT_DEVICE,
        from: 'return (this.availAtomics.load16(2 * (this.avail + AVAIL_FLAGS)) & AVAIL_NO_INTERRUPT) === 0;',
        to: 'return (flags & AVAIL_NO_INTERRUPT) === 0;',
      },
    ],
    where: { ring: 'split', eventIdx: false, size: 2 },
    shows: SLEEPS,
  },
  {
    name: 'split driver: the available index goes before the entry',
    edits: [
      {
        file: SPLIT_DRIVER,
        from: '    this.availU16[this.availRing + (this.availNext & this.mask)] = head;\n',
        to:
          '    this.availAtomics.store16(2 * (this.avail + AVAIL_IDX), (this.availNext + 1) & 0xffff);\n' +
          '    this.availU16[this.availRing + (this.availNext & this.mask)] = head;\n',
      },
    ],
    where: { ring: 'split', inOrder: true, size: 4, chain: 'pair' },
    shows: /bytes|address|segments|flight|empty|sleep/,
  },
  {
    name: 'split device: the used index goes before the element',
    edits: [
      {
        file: SPLIT_DEVICE,
        from: '    used[element] = head;\n',
        to: '    this.usedAtomics.store16(2 * (this.used + USED_IDX), (next + 1) & 0xffff);\n' + '    used[element] = head;\n',
      },
    ],
    where: { ring: 'split', inOrder: false, size: 2 },
    shows: /length|flight|twice|sleep/,
  },
  {
    name: 'split: the event test does not wrap with the indices',
    edits: [
      {
        file: SPLIT_LAYOUT,
        from: 'return ((next - event - 1) & 0xffff) < ((next - old) & 0xffff);',
        to: 'return next - event - 1 < ((next - old) & 0xffff) && event < next;',
      },
    ],
    where: { ring: 'split', eventIdx: true, size: 1 },
    shows: SLEEPS,
  },
  {
    name: 'packed driver: no look at the ring after asking for interrupts',
    edits: [
      {
        file: PACKED_DRIVER,
        from: '    return ((word >>> STATE_SHIFT) & STATE_MASK) === this.used;\n',
        to: '    return word < 0 && false;\n',
      },
    ],
    where: { ring: 'packed', eventIdx: true, size: 1 },
    shows: SLEEPS,
  },
  {
    name: 'packed device: no look at the ring after asking for kicks',
    edits: [
      {
        file: PACKED_DEVICE,
        from: '    return ((word >>> STATE_SHIFT) & STATE_MASK) === this.available;\n',
        to: '    return word < 0 && false;\n',
      },
    ],
    where: { ring: 'packed', eventIdx: false, size: 2 },
    shows: SLEEPS,
  },
  {
    name: 'packed driver: looks at the event structure before it stores the flags',
    edits: [
      {
        file: PACKED_DRIVER,
        from: PUBLISH,
        to: `${PUBLISH}    const early = this.ringAtomics.load32(4 * this.deviceEventAt);\n`,
      },
      {
        file: PACKED_DRIVER,
        from: 'return wantsEvent(event,',
        to: 'return wantsEvent(event * 0 + early,',
      },
    ],
    where: { ring: 'packed', eventIdx: true, size: 4 },
    shows: SLEEPS,
  },
  {
    name: 'packed driver: the first flags of a batch are not held back',
    edits: [
      {
        file: PACKED_DRIVER,
        from: '  private fill(id: number, flags: number): void {\n',
        to:
          '  private fill(id: number, flags: number): void {\n' +
          '    this.words[this.ringAt + (this.next << 2) + FLAGS_WORD] = id | (flags << 16) | (this.available << STATE_SHIFT);\n',
      },
    ],
    where: { ring: 'packed', size: 4, chain: 'pair' },
    shows: /wrong wrap|segments|bytes|address|memory|id|sleep/,
  },
  {
    name: 'packed device: the length is written after the flags',
    edits: [
      {
        file: PACKED_DEVICE,
        from: '    words[from + 2] = written | 0;\n',
        to: '    if (this.held < 0) this.ringAtomics.store32(4 * (from + FLAGS_WORD), word);\n' + '    words[from + 2] = written | 0;\n',
      },
    ],
    where: { ring: 'packed', size: 2 },
    shows: /length|flight|twice|sleep/,
  },
  {
    name: 'packed: the event test forgets the wrap counter',
    edits: [
      {
        file: 'core/ring/packed/layout.ts',
        from: 'const at = ((event >>> 15) & 1) === wrap ? offset : offset - size;',
        to: 'const at = offset + 0 * wrap * size;',
      },
    ],
    where: { ring: 'packed', eventIdx: true, size: 2 },
    shows: SLEEPS,
  },
  {
    name: 'doorbell: looks for a sleeper before it moves the sequence',
    edits: [
      {
        file: DOORBELL,
        from: '    Atomics.add(this.#cells, this.#index, 1);\n',
        to: '    const sleeps = Atomics.load(this.#cells, this.#index + 1) !== 0;\n    Atomics.add(this.#cells, this.#index, 1);\n',
      },
      { file: DOORBELL, from: 'if (Atomics.load(this.#cells, this.#index + 1) !== 0) {', to: 'if (sleeps) {' },
    ],
    where: { ring: 'split', eventIdx: true, size: 1 },
    shows: SLEEPS,
  },
  {
    name: 'doorbell: sleeps without looking at the sequence',
    edits: [
      {
        file: DOORBELL,
        from: 'Atomics.wait(cells, index, expected, times',
        to: 'Atomics.wait(cells, index, Atomics.load(cells, index), times',
      },
    ],
    where: { ring: 'packed', eventIdx: true, size: 1 },
    shows: SLEEPS,
  },
];
