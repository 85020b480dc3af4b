import { expect, it } from 'vitest';
import type { Checkout } from '../../../../benchmarks/compare/checkout.ts';
import { profileFailures, type RunSide } from '../../../../benchmarks/compare/profiles.ts';

const base: Checkout = { label: 'base', root: '/base' };
const head: Checkout = { label: 'head', root: '/head' };
const signal = new AbortController().signal;

/** Remembers what it was asked, and answers as told. */
function scripted(codes: Readonly<Record<string, number>> = {}): { asked: string[]; run: RunSide } {
  const asked: string[] = [];
  const run: RunSide = async ({ label }, args) => {
    asked.push(`${label}: ${args.join(' ')}`);
    const code = codes[label] ?? 0;
    return { code, stdout: '', stderr: code === 0 ? '' : 'scanout: there is no command "profile"\n' };
  };
  return { asked, run };
}

it('profiles both sides, the head against the base', async () => {
  const { asked, run } = scripted();
  expect(await profileFailures(['copy-4k-max', 'copy-4k-max'], 'out', base, head, signal, run)).toEqual([
    'profile of copy-4k-max: out/copy-4k-max/head/profile.html',
  ]);
  expect(asked).toEqual([
    'base: profile copy-4k-max --out out/copy-4k-max/base',
    'head: profile copy-4k-max --out out/copy-4k-max/head --diff out/copy-4k-max/base',
  ]);
});

it('profiles the head alone where there is no base, or one too old to know how', async () => {
  for (const [old, code] of [
    [null, 0],
    [base, 2],
  ] as const) {
    const { asked, run } = scripted({ base: code });
    await profileFailures(['copy-4k-max'], 'out', old, head, signal, run);
    expect(asked.at(-1)).toBe('head: profile copy-4k-max --out out/copy-4k-max/head');
  }
});

it('says why there is no profile, and what was left out', async () => {
  const { run } = scripted({ head: 2 });
  expect(await profileFailures(['a', 'b', 'c', 'd'], 'out', null, head, signal, run)).toEqual([
    'no profile of a: scanout: there is no command "profile"',
    'no profile of b: scanout: there is no command "profile"',
    'not profiled: c, d',
  ]);
});

it('a stop ends it, and what was decided stands', async () => {
  const controller = new AbortController();
  const run: RunSide = async () => {
    controller.abort();
    throw controller.signal.reason;
  };
  expect(await profileFailures(['a', 'b'], 'out', base, head, controller.signal, run)).toEqual(['no profile of a: stopped']);
});
