import { expect, test } from 'vitest';
import { RAM_BYTES, setUpRing } from '../../../core/machine/testing/ring-setup.ts';
import { BufferList } from '../../../core/ring/buffer-list.ts';
import { IndirectTables } from '../../../core/ring/indirect-tables.ts';

const LONG = 0x10_0000;

test('the long table has to be memory, aligned, of at least one descriptor; no more are used than a chain has', () => {
  const { space, tables } = setUpRing({ size: 4, indirect: true });
  const made = new IndirectTables(space, 4, tables);
  for (const [address, descriptors] of [
    [LONG, 0],
    [LONG, -1],
    [LONG, Number.NaN],
    [LONG + 8, 16],
    [RAM_BYTES - 16, 2],
    [Number.NaN, 1],
  ]) {
    expect(() => made.setLong(address, descriptors), `${descriptors} at ${address}`).toThrow(RangeError);
  }
  made.setLong(LONG, 2000);
  expect([made.longDescriptors, made.needsLong(1024), made.needsLong(1025)]).toEqual([1024, true, false]);
});

test('the long table is not set anew while a chain is in it', () => {
  const { space, tables, high, buffers: at } = setUpRing({ size: 4, indirect: true, tableDescriptors: 2 });
  const made = new IndirectTables(space, 4, tables);
  made.setLong(LONG, 16);
  const buffers = new BufferList();
  for (let i = 0; i < 3; i++) buffers.readable(at, 4);
  made.write(1, buffers, true, high.i32, 0x1000);
  expect(made.longUser).toBe(1);
  expect(() => made.setLong(LONG, 16)).toThrow(/in flight/);
  made.longUser = -1;
  expect(() => made.setLong(LONG, 16)).not.toThrow();
});
