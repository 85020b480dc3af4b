import { describe, expect, it } from 'vitest';
import { dispatch } from '../../benchmarks/cli.ts';
import { DEFAULT_FRAME, drawFault, FAULT_COUNTERS, FAULTS, parseFault, parseFaults, unfitFault } from '../../core/machine/faults.ts';
import { PATHS } from '../../core/machine/options.ts';
import { Random } from '../../core/memory/random.ts';

/** The command line on an io that keeps what is written. */
async function cli(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  let out = '';
  let err = '';
  const { signal } = new AbortController();
  const stdout = (text: string): void => {
    out += text;
  };
  const stderr = (text: string): void => {
    err += text;
  };
  const code = await dispatch(argv, { stdout, stderr, signal });
  return { code, out, err };
}

describe('the faults as data', () => {
  it('have names of their own, and explain only counters that there are', () => {
    expect(new Set(FAULTS.map(({ name }) => name)).size).toBe(FAULTS.length);
    for (const { explains } of FAULTS) for (const name of explains) expect(FAULT_COUNTERS).toContain(name);
  });

  it('are given as NAME or NAME@FRAME', () => {
    expect(parseFault('lost-kick@30')).toEqual({ name: 'lost-kick', frame: 30 });
    expect(parseFault('slow-sink')).toEqual({ name: 'slow-sink', frame: DEFAULT_FRAME });
    expect(parseFaults('lost-kick@1,lost-kick@2')).toHaveLength(2);
  });

  it.each(['', 'no-such-fault', 'lost-kick@', 'lost-kick@-1', 'lost-kick@1.5', 'LOST-KICK', 'lost-kick@1 '])('%j is refused', (text) => {
    expect(() => parseFault(text)).toThrow(/unknown fault/);
  });

  it('at most 32 at a time: each has a bit', () => {
    expect(() => parseFaults(Array.from({ length: 33 }, () => 'lost-kick').join(','))).toThrow(/at most 32/);
  });

  it('are drawn by seed, fit the path, and take no process along', () => {
    for (const path of PATHS) {
      const draw = (seed: number): unknown[] => {
        const random = new Random(seed);
        return Array.from({ length: 200 }, () => drawFault(random, { path }, 100));
      };
      expect(draw(7)).toEqual(draw(7));
      expect(draw(7)).not.toEqual(draw(8));
      for (const fault of draw(7) as ReturnType<typeof drawFault>[]) {
        expect(unfitFault(fault, path)).toBeNull();
        expect(fault.name).not.toBe('host-out-of-memory');
        expect(fault.frame).toBeLessThan(100);
      }
    }
  });
});

describe('the faults on the command line', () => {
  it('scanout list names them all, in 80 columns', async () => {
    const { out } = await cli('list');
    for (const { name } of FAULTS) expect(out).toContain(name);
    for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
    const json = JSON.parse((await cli('list', '--json')).out);
    expect(json.faults.map(({ name }: { name: string }) => name)).toEqual(FAULTS.map(({ name }) => name));
  });

  it('scanout run --help explains --fault', async () => {
    expect((await cli('run', '--help')).out).toContain('--fault LIST');
  });

  it.each([
    ['no-such-fault', /unknown fault 'no-such-fault'.*scanout list/],
    ['fence-never', /needs flush fences, which copy does not have/],
    ['move-storm', /needs a buffer of the GPU/],
  ])('--fault %s on copy is refused in one line', async (fault, words) => {
    const { code, err } = await cli('run', '--path', 'copy', '--resolution', '64x64', '--fault', fault);
    expect(code).toBe(2);
    expect(err).toMatch(words);
    expect(err.trim().split('\n')).toHaveLength(1);
  });
});
