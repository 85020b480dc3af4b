import { expect, test } from 'vitest';
import { nearest, useInstead } from '../../../benchmarks/nearest.ts';

test.each([
  ['one letter left out, put in or changed', 'sute', ['suite']],
  ['two neighbours that changed places', 'rnig', ['ring']],
  ['a beginning of three letters, where nothing is near', 'rep', ['repetitions']],
  ['two letters begin too much', 're', []],
  ['more than a third of the letters is another name', 'frames', []],
  ['nothing', '', []],
])('%s: %j means %j', (_, wrong, meant) => {
  expect(nearest(wrong, ['suite', 'ring', 'repetitions', 'seed'])).toEqual(meant);
});

test('the nearest comes first, at most three', () => {
  expect(nearest('copies', ['copied', 'copier', 'copies', 'copieses', 'coping'])).toEqual(['copies', 'copied', 'copier']);
});

test('what there is follows what was meant', () => {
  expect(useInstead('quik', ['quick', 'default'])).toBe('did you mean quick? Else use quick, default');
  expect(useInstead('fast', ['quick', 'default'])).toBe('use quick, default');
});
