import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const folder = new URL('../../../core/protocol/', import.meta.url);

it.each(readdirSync(folder))('protocol imports nothing outside itself: %s', (file) => {
  const text = readFileSync(new URL(file, folder), 'utf8');
  for (const [, target] of text.matchAll(/from '([^']*)'/g)) expect(target).toMatch(/^\.\/[a-z0-9-]+\.ts$/);
  expect(text).not.toMatch(/\bimport\(|\bAtomics\b|\bBigInt\b|\bBuffer\.(from|alloc)/);
});
