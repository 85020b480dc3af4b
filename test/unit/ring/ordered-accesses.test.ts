import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  cellSites,
  cellViolations,
  moduleViolations,
  type OrderedAccess,
  ringSites,
  ringViolations,
  withoutMarks,
} from '../../support/ordered-accesses.ts';

const RING = join(import.meta.dirname, '../../../core/ring');
const read = (file: string): string => readFileSync(join(RING, file), 'utf8');
const files = readdirSync(RING, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
const lines = (sites: readonly OrderedAccess[]): string[] => sites.map(({ where, what }) => `${where}: ${what}`);

/**
 * Where each queue publishes (a store) and observes (a load), in this order. Weakening one to a plain access, leaving it
 * out or moving it shows here; whoever changes the list has to say why the other side still sees what it must.
 */
const QUEUES = {
  'split/driver.ts': [
    'publish: availAtomics store16 2 * (avail + AVAIL_IDX)',
    'publish: usedAtomics load16 2 * availEvent',
    'publish: usedAtomics load16 2 * (used + USED_FLAGS)',
    'lookForMore: usedAtomics load16 2 * (used + USED_IDX)',
    'enableInterrupts: availAtomics store16 2 * usedEvent',
    'enableInterrupts: availAtomics store16 2 * (avail + AVAIL_FLAGS)',
    'enableInterrupts: usedAtomics load16 2 * (used + USED_IDX)',
    'disableInterrupts: availAtomics store16 2 * (avail + AVAIL_FLAGS)',
  ],
  'split/device.ts': [
    'publish: usedAtomics store16 2 * (used + USED_IDX)',
    'publish: availAtomics load16 2 * usedEvent',
    'publish: availAtomics load16 2 * (avail + AVAIL_FLAGS)',
    'enableKicks: usedAtomics store16 2 * availEvent',
    'enableKicks: usedAtomics store16 2 * (used + USED_FLAGS)',
    'enableKicks: availAtomics load16 2 * (avail + AVAIL_IDX)',
    'disableKicks: usedAtomics store16 2 * (used + USED_FLAGS)',
    'lookForMore: availAtomics load16 2 * (avail + AVAIL_IDX)',
  ],
  'packed/driver.ts': [
    'constructor: driverEventAtomics store32 4 * driverEventAt',
    'publish: publishFlags store-load 4 * (ringAt + held * WORDS + FLAGS_WORD), heldWord, 4 * deviceEventAt',
    'lookForMore: ringAtomics scan 4 * (ringAt + at * WORDS + FLAGS_WORD)',
    'enableInterrupts: driverEventAtomics store32 4 * driverEventAt',
    'enableInterrupts: ringAtomics load32 4 * (ringAt + lastUsed * WORDS + FLAGS_WORD)',
    'disableInterrupts: driverEventAtomics store32 4 * driverEventAt',
  ],
  'packed/device.ts': [
    'publish: publishFlags store-load 4 * (ringAt + held * WORDS + FLAGS_WORD), heldWord, 4 * driverEventAt',
    'enableKicks: deviceEventAtomics store32 4 * deviceEventAt',
    'enableKicks: ringAtomics load32 4 * (ringAt + next * WORDS + FLAGS_WORD)',
    'disableKicks: deviceEventAtomics store32 4 * deviceEventAt',
    'lookForMore: ringAtomics scan at',
    'lookForMore: ringAtomics load32 at',
  ],
} as const;
const queues = Object.keys(QUEUES) as (keyof typeof QUEUES)[];

/** The doorbell's: the ringer moves the sequence, then reads the flag; the sleeper sets the flag, then compares the sequence. */
const DOORBELL = [
  'sample: load index',
  'ring: add index',
  'ring: load index + 1',
  'ring: notify index',
  'sleep: load index',
  'blockUntilDeadline: store index + 1',
  'blockUntilDeadline: wait index',
  'blockUntilDeadline: store index + 1',
  'blockUntilDeadline: load index',
  '#poll: load index',
];

describe('the memory that both sides of a ring share', () => {
  test.each(queues)('%s publishes and observes at the sites of the list, in its order', (file) => {
    expect(lines(ringSites(read(file)))).toEqual(QUEUES[file]);
  });

  test.each(files)('%s: fields that order others go through an ordered access, other shared memory is marked RACE', (file) => {
    expect(ringViolations(read(file))).toEqual([]);
  });

  test('a file with ordered accesses that is not in the list has to be put there', () => {
    const unlisted = files.filter((file) => !queues.some((queue) => queue === file) && ringSites(read(file)).length > 0);
    expect(unlisted).toEqual([]);
  });

  test('doorbell and registers touch their cells through Atomics only, the doorbell in the order that loses no ring', () => {
    expect(lines(cellSites(read('doorbell.ts')))).toEqual(DOORBELL);
    for (const file of ['doorbell.ts', 'registers.ts']) expect(cellViolations(read(file))).toEqual([]);
    expect(cellSites(read('registers.ts')).length).toBeGreaterThan(50);
  });

  test('the accessors are atomic instructions: nothing else touches memory in their module', () => {
    expect(moduleViolations(read('atomics.ts'))).toEqual([]);
  });
});

describe('the rules notice', () => {
  const call = /this\.(?:\w+Atomics\.(?:(?:load|store)(?:16|32)|scan)|publishFlags)\(/g;

  test.each(queues)('%s with any one of its ordered accesses made a plain one', (file) => {
    const source = read(file);
    const sites = [...source.matchAll(call)];
    expect(sites.length).toBe(QUEUES[file].length);
    for (const { 0: text, index } of sites) {
      const weak = `${source.slice(0, index)}this.weak.plain(${source.slice(index + text.length)}`;
      expect(lines(ringSites(weak))).not.toEqual(QUEUES[file]);
    }
  });

  test.each([
    ['split/driver.ts', 'this.availAtomics.store16(2 * (this.avail + AVAIL_IDX), next);', 'this.availU16[this.avail + AVAIL_IDX] = next;'],
    ['split/driver.ts', 'this.availAtomics.store16(2 * (this.avail + AVAIL_IDX), next);', 'this.availU16[this.avail + 1] = next;'],
    ['split/device.ts', 'this.availAtomics.load16(2 * this.usedEvent)', 'this.availU16[this.usedEvent]'],
    [
      'packed/driver.ts',
      'this.publishFlags(4 * (this.ringAt + held * WORDS + FLAGS_WORD), this.heldWord, 4 * this.deviceEventAt);',
      'this.words[this.ringAt + held * WORDS + FLAGS_WORD] = this.heldWord;',
    ],
    [
      'packed/device.ts',
      'const event = this.publishFlags(4 * (this.ringAt + held * WORDS + FLAGS_WORD), this.heldWord, 4 * this.driverEventAt);',
      'const ring = this.words;\n    ring[this.ringAt + held * WORDS + FLAGS_WORD] = this.heldWord;',
    ],
  ])('%s: %s as %s', (file, ordered, plain) => {
    const source = read(file);
    expect(source).toContain(ordered);
    expect(ringViolations(source.replace(ordered, plain))).not.toEqual([]);
  });

  test.each([...queues, 'chain.ts', 'chain-builder.ts'])('%s with the RACE comments of any one method gone', (file) => {
    const source = read(file);
    const copies = withoutMarks(source);
    expect(copies.length).toBeGreaterThan(0);
    for (const { where, copy } of copies) expect(ringViolations(copy), where).not.toEqual([]);
  });

  test.each(['doorbell.ts', 'registers.ts'])('%s with any one of its cells read or written plainly', (file) => {
    const source = read(file);
    const sites = [...source.matchAll(/Atomics\.\w+\(((?:this\.#?)?cells), /g)];
    expect(sites.length).toBe(cellSites(source).length);
    for (const { 0: text, 1: cells, index } of sites) {
      expect(cellViolations(`${source.slice(0, index)}(${cells}[0], ${source.slice(index + text.length)}`)).toHaveLength(1);
    }
    expect(cellViolations(source.replace(/^ {2}ring\(|^ {2}get status\(/m, '  f() { const c = this.cells; }\n$&'))).toHaveLength(1);
  });

  test.each([
    ['load16_u', '0xfe, 0x13, 0x01, 0x00', '0x2f, 0x01, 0x00'],
    ['store16', '0xfe, 0x1a, 0x01, 0x00', '0x3b, 0x01, 0x00'],
    ['load', '0xfe, 0x10, 0x02, 0x00, 0x0b', '0x28, 0x02, 0x00, 0x0b'],
    ['load of scan', '0xfe, 0x10, 0x02, 0x00, 0x41', '0x28, 0x02, 0x00, 0x41'],
    ['store', '0xfe, 0x17, 0x02, 0x00, 0x0b', '0x36, 0x02, 0x00, 0x0b'],
    ['store before a load', '0xfe, 0x17, 0x02, 0x00]', '0x36, 0x02, 0x00]'],
    ['load after a store', '0xfe, 0x10, 0x02, 0x00]', '0x28, 0x02, 0x00]'],
  ])('an accessor whose i32.atomic.%s was made a plain one', (_what, atomic, plain) => {
    const source = read('atomics.ts');
    expect(source.split(atomic)).toHaveLength(2);
    expect(moduleViolations(source.replace(atomic, plain))).not.toEqual([]);
  });
});
