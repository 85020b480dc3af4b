import { expect, test } from 'vitest';

// What a browser runs has no types.
const figures = new URL('../../../workers/view/page/figures.js', import.meta.url).href;
const { rateText } = (await import(figures)) as { rateText(bytes: number): string };

test('a copy that is small is never said to be none', () => {
  expect([0, 2, 16_384, 999_999, 1e6, 9_994_999, 1e7, 4.2e9].map(rateText)).toEqual([
    '0 GB/s',
    '2 B/s',
    '16.4 kB/s',
    '1000.0 kB/s',
    '1.00 MB/s',
    '9.99 MB/s',
    '0.01 GB/s',
    '4.20 GB/s',
  ]);
});
