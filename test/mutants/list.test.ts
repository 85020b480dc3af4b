import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { guardsOf } from './guards.ts';
import { MUTANTS } from './list/index.ts';
import { mutantsOf, mutate } from './mutant.ts';
import { ROOT } from './workshop.ts';

const DATA_PATH = ['memory', 'protocol', 'dmabuf', 'ring', 'host', 'guest', 'sink', 'trace'];
/** Checks that no test can bring about: they would be a fault of the code around them, or need 2^32 steps. */
const UNREACHED = new Set([
  'core/host/entries.ts: region === null || region === undefined',
  'core/host/scanouts.ts: pixels === null',
  'core/ring/chain-builder.ts: region === null',
]);

const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

describe('the list of mutants', () => {
  test('each has a name of its own', () => {
    expect(new Set(MUTANTS.map(({ id }) => id)).size).toBe(MUTANTS.length);
  });

  test('the text that each replaces is found exactly once, and the result is still a program', () => {
    const wrong: string[] = [];
    for (const mutant of MUTANTS) {
      try {
        stripTypeScriptTypes(mutate(mutant, read(mutant.file)));
      } catch (error) {
        wrong.push(`${mutant.id}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test('every check of the data path that refuses something has one, or a reason why not', () => {
    const missing: string[] = [];
    for (const layer of DATA_PATH) {
      for (const entry of readdirSync(join(ROOT, 'core', layer), { recursive: true, encoding: 'utf8' })) {
        if (!entry.endsWith('.ts')) continue;
        const file = `core/${layer}/${entry}`;
        const text = read(file);
        const edits = MUTANTS.filter((mutant) => mutant.file === file).map(({ find }) => [
          text.indexOf(find),
          text.indexOf(find) + find.length,
        ]);
        for (const { line, condition, from, to } of guardsOf(text)) {
          if (edits.some(([first, end]) => first < to && end > from) || UNREACHED.has(`${file}: ${condition}`)) continue;
          missing.push(`${file}:${line}: if (${condition})`);
        }
      }
    }
    expect(missing, 'add a mutant to test/mutants/list, and the test that catches it').toEqual([]);
  });

  test('the tests that must catch each exist', () => {
    const files = new Set(MUTANTS.flatMap(({ tests }) => tests));
    expect([...files].filter((file) => !existsSync(join(ROOT, file)))).toEqual([]);
  });
});

describe('an edit', () => {
  test('of an if alone makes its condition false, of other text deletes it', () => {
    const [check, line, whole] = mutantsOf('a', 'a.ts', ['unit/a'], { check: 'if (x > 1)', line: 'y();', whole: 'if (x) z();' });
    expect(mutate(check, 'if (x > 1) throw z;')).toBe('if (false) throw z;');
    expect(mutate(line, 'x(); y();')).toBe('x(); ');
    expect(mutate(whole, 'x(); if (x) z();')).toBe('x(); ');
    expect(check).toMatchObject({ id: 'a/check', tests: ['test/unit/a.test.ts'] });
  });

  test('whose text is missing, or there twice, is refused', () => {
    const [mutant] = mutantsOf('a', 'a.ts', [], { b: 'y();' });
    expect(() => mutate(mutant, 'x();')).toThrow(/0 times/);
    expect(() => mutate(mutant, 'y(); y();')).toThrow(/2 times/);
  });
});
