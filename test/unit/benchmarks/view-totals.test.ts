import { expect, test } from 'vitest';
import { viewTotalsText } from '../../../benchmarks/view-totals.ts';

test('a view ends with what it has shown, and what each path has copied', () => {
  const text = viewTotalsText([
    { path: 'udmabuf', frames: 300, bytes: 0, seconds: 10 },
    { path: 'readback-copy', frames: 100, bytes: 737_280_000, seconds: 5 },
  ]);
  expect(text).toBe(
    '400 frames shown in 15.0 s, 26.7 fps\nby udmabuf 300 frames, 0.0 MB copied\nby readback-copy 100 frames, 737.3 MB copied\n',
  );
  expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThan(80);
});

test('one that has shown nothing says so, and names no rate', () => {
  expect(viewTotalsText([])).toBe('0 frames shown in 0.0 s\n');
});
