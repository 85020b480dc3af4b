import { expect, test } from 'vitest';
import { CopyStage, Ledger } from '../../../core/memory/ledger.ts';

test('a ledger counts copies and bytes by stage, for every reader of its memory', () => {
  const buffer = new SharedArrayBuffer(8 + Ledger.bytes);
  const ledger = new Ledger(buffer, 8);
  const reader = new Ledger(buffer, 8);
  ledger.charge(CopyStage.transfer, 100);
  ledger.charge(CopyStage.transfer, 2 ** 40);
  ledger.charge(CopyStage.cursor, 1);
  expect([reader.copies(CopyStage.transfer), reader.bytesCopied(CopyStage.transfer)]).toEqual([2, 2 ** 40 + 100]);
  expect([reader.copies(CopyStage.cursor), reader.bytesCopied(CopyStage.cursor)]).toEqual([1, 1]);
  expect([reader.copies(CopyStage.readback), reader.bytesCopied(CopyStage.readback)]).toEqual([0, 0]);
  ledger.reset();
  expect(reader.copies(CopyStage.transfer)).toBe(0);
});
