import { existsSync, readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { MUTANTS } from './list/index.ts';
import { mutantsOf, mutate } from './mutant.ts';
import { ROOT } from './workshop.ts';

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
