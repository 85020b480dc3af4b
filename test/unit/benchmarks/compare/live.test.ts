import { describe, expect, it } from 'vitest';
import { calibrate } from '../../../../benchmarks/compare/calibrate.ts';
import { comparisonJudge, type LiveOptions, type LiveRuns, measurePairs } from '../../../../benchmarks/compare/live.ts';
import { InvalidRunError, type MeasureSide } from '../../../../benchmarks/compare/side.ts';
import { scenarioId } from '../../../../benchmarks/scenarios.ts';
import { DEFAULT_OPTIONS } from '../../../../core/machine/options.ts';
import type { Calibration } from '../../../../reports/calibration.ts';
import { calibrationFault, calibrationText } from '../../../../reports/calibration-text.ts';
import { compareSeries, seriesOf, withoutRatio } from '../../../../reports/compare/live.ts';
import { InputError, type RunDocument, seededRandom } from '../../../../reports/index.ts';
import { buildRun, buildScenario, hostWork } from '../../../support/run-document.ts';

const METRICS = ['hostServiceUs.p50', 'fps'];
const base = { label: 'base', root: '/base' };
const head = { label: 'head', root: '/head' };

/** A machine with noise of `spread` on which a side named head, or one with a handicap, takes `factor` times as long. */
function machine(factor: number, spread = 0.01, seed = 3): { measure: MeasureSide; calls: string[] } {
  const random = seededRandom(seed);
  const calls: string[] = [];
  const measure: MeasureSide = async (side, args, signal) => {
    signal.throwIfAborted();
    calls.push(`${side.label}${args.includes('--handicap') ? '+' : ''} ${args[args.indexOf('--seed') + 1]}`);
    const at = args.indexOf('--handicap');
    const slow = (at < 0 ? 1 : 1 + Number(args[at + 1]) / 100) * (side.label === 'head' ? factor : 1);
    const scenario = buildScenario({ path: 'copy', rateHz: null, repetitions: 1 });
    // As the program names what it runs under a handicap.
    const named = { ...scenario, id: at < 0 ? scenario.id : `${scenario.id}-handicap${args[at + 1]}` };
    const [timed] = scenario.repetitions;
    const us = 100 * slow * Math.exp((random() - 0.5) * 2 * spread);
    hostWork(timed).p50 = us;
    timed.fps = 1e6 / us;
    return buildRun({ scenarios: [named] });
  };
  return { measure, calls };
}

function live(measure: MeasureSide, over: Partial<LiveOptions> = {}): Promise<LiveRuns> {
  return measurePairs({
    ...{ base, head, runArgs: [], maxPairs: 24, seed: 1, signal: new AbortController().signal, measure },
    ...{ judge: comparisonJudge(METRICS, 0.02), progress: () => {}, ...over },
  });
}
const verdictOf = ({ runs, alpha }: LiveRuns): string => compareSeries(seriesOf(runs, METRICS), 0.02, alpha, []).verdict;

describe('a live comparison', () => {
  it('measures A B, B A with the same seed in a pair and another in the next', async () => {
    const { measure, calls } = machine(1);
    await live(measure, { maxPairs: 3 });
    expect(calls).toEqual(['base 1', 'head 1', 'head 2', 'base 2', 'base 3', 'head 3']);
  });

  it('stops when everything is conclusive, and goes on to the cap while it is not', async () => {
    const clear = await live(machine(1.3).measure);
    expect(clear.runs.length).toBeLessThan(24);
    expect(verdictOf(clear)).toBe('regressed');
    const noisy = await live(machine(1.01, 0.2).measure);
    expect(noisy.runs.length).toBe(24);
    expect(verdictOf(noisy)).toBe('inconclusive');
    expect(verdictOf(await live(machine(1, 0.002).measure))).toBe('equivalent');
    expect(verdictOf(await live(machine(1 / 1.3).measure))).toBe('improved');
  });

  it('stopped, it keeps the pairs that are complete; before the first there is nothing', async () => {
    const stop = new AbortController();
    const { measure } = machine(1);
    let calls = 0;
    const stopping: MeasureSide = async (...args) => {
      if (++calls === 6) stop.abort(new Error('stopped'));
      return await measure(...args);
    };
    const stopped = await live(stopping, { signal: stop.signal });
    expect(stopped.partial).toBe(true);
    expect(stopped.runs.length).toBe(2);
    expect(stopped.notes.join('\n')).toMatch(/stopped before its end: what 2 complete pairs say/);
    await expect(live(measure, { signal: AbortSignal.abort(new Error('stopped')) })).rejects.toThrow('stopped');
  });

  it('a cap too low to show anything is said, and sides that measured different scenarios are refused', async () => {
    const { measure } = machine(2);
    expect((await live(measure, { maxPairs: 4 })).notes.join('\n')).toMatch(/at most 4 pairs can show no change.*--max-pairs 9/);
    const unlike: MeasureSide = async (side, ...rest): Promise<RunDocument> => {
      const run = await measure(side, ...rest);
      return side.label === 'head' ? { ...run, scenarios: [] } : run;
    };
    await expect(live(unlike)).rejects.toThrow(InputError);
    const renamed: MeasureSide = async (side, ...rest): Promise<RunDocument> => {
      const run = await measure(side, ...rest);
      const [scenario] = run.scenarios;
      return side.label === 'head' ? { ...run, scenarios: [{ ...scenario, id: 'vfio-2160p-max' }] } : run;
    };
    await expect(live(renamed)).rejects.toThrow(/only base copy-2160p-max; only head vfio-2160p-max; name those of both after --/);
    await expect(live(measure, { judge: comparisonJudge(['importUs.mean'], 0.02) })).rejects.toThrow(/no figures of importUs.mean/);
  });

  it('scenarios are compared by their ids, in whatever order a side has them', async () => {
    const { measure } = machine(1.3);
    const mixed: MeasureSide = async (side, ...rest): Promise<RunDocument> => {
      const run = await measure(side, ...rest);
      const slow = structuredClone(run.scenarios[0]);
      slow.id = 'vfio-2160p-max';
      for (const repetition of slow.repetitions) hostWork(repetition).p50 = 9000;
      return { ...run, scenarios: side.label === 'head' ? [slow, ...run.scenarios] : [...run.scenarios, slow] };
    };
    const { runs } = await live(mixed, { maxPairs: 2 });
    const { comparisons } = compareSeries(seriesOf(runs, ['hostServiceUs.p50']), 0.02, 0.01, []);
    expect(comparisons.map(({ scenario, ratio }) => [scenario, Number(ratio.toFixed(1))])).toEqual([
      ['copy-2160p-max', 1.3],
      ['vfio-2160p-max', 1],
    ]);
  });

  it('a metric that has no ratio in a later pair is said, and the document is inconclusive', async () => {
    const { measure } = machine(1.3);
    let calls = 0;
    const losing: MeasureSide = async (...args) => {
      const run = await measure(...args);
      if (++calls === 5) run.scenarios[0].repetitions[0].fps = 0;
      return run;
    };
    const { runs } = await live(losing, { maxPairs: 12 });
    const without = withoutRatio(runs, METRICS);
    expect(without).toMatchObject([{ metric: 'fps', fault: 'mixed' }]);
    const document = compareSeries(seriesOf(runs, METRICS).slice(1), 0.02, 0.01, [], without);
    expect(document.verdict).toBe('inconclusive');
    expect(document.notes[0]).toMatch(/NOT COMPARED.*fps of copy-2160p-max/);
  });

  it('what differs between the sides of any pair is noted, with how often', async () => {
    const { measure } = machine(1);
    let calls = 0;
    const changing: MeasureSide = async (...args) => {
      const run = await measure(...args);
      if (++calls === 6) run.environment.copier = 'another';
      return run;
    };
    expect((await live(changing, { maxPairs: 4 })).notes.join('\n')).toMatch(
      /the sides ran differently in 1 of 4 pairs: copier: \S+ against another/,
    );
  });

  it('what a reader must know of a side is noted', async () => {
    const { measure } = machine(1);
    const { notes } = await live(measure, { maxPairs: 1, head: { ...head, warning: 'head is old' } });
    expect(notes).toContain('head is old');
  });
});

describe('a calibration', () => {
  const run = (measure: MeasureSide, over: Partial<Parameters<typeof calibrate>[0]> = {}) =>
    calibrate({
      ...{ side: base, runArgs: [], metrics: METRICS, comparisons: 5, trials: 4, maxPairs: 12, seed: 1, command: 'c' },
      ...{ signal: new AbortController().signal, measure, now: () => 0, keep: () => {}, progress: () => {}, ...over },
    });

  it('finds no difference from itself, the noise, and the handicap', async () => {
    expect(scenarioId({ ...DEFAULT_OPTIONS, handicapPercent: 40 })).toBe(`${scenarioId(DEFAULT_OPTIONS)}-handicap40`);
    const calibration = await run(machine(1, 0.02).measure);
    expect(calibration.metrics[0]).toMatchObject({ metric: 'hostServiceUs.p50', comparisons: 5, falseVerdicts: 0 });
    const least = calibration.metrics[0].smallestDetectable ?? Number.NaN;
    expect(least).toBeGreaterThan(0.01);
    expect(least).toBeLessThan(0.06);
    const control = calibration.positiveControl;
    expect(control?.handicapPercent).toBe(Math.ceil(100 * Math.max(0.05, 1.5 * least)));
    expect(control).toMatchObject({ trials: 4, found: 4 });
    expect(calibrationFault(calibration)).toBeNull();
    const text = calibrationText(calibration);
    for (const line of text.split('\n')) expect([...line].length, line).toBeLessThanOrEqual(80);
    expect(text).toMatch(/hostServiceUs\.p50 +0 of 5 +\d/);
  });

  it('a handicap that makes no difference is not found, and says that verdicts are not to be believed', async () => {
    const { measure } = machine(1);
    const deaf: MeasureSide = (side, args, signal) => measure(side, args.slice(0, args.indexOf('--handicap') >>> 0), signal);
    const calibration = await run(deaf);
    expect(calibration.positiveControl).toMatchObject({ trials: 4, found: 0 });
    expect(calibrationFault(calibration)).toMatch(/found in 0 of 4 trials/);
    expect(calibrationFault({ ...calibration, metrics: [{ ...calibration.metrics[0], falseVerdicts: 2 }] })).toMatch(
      /2 false verdicts in 5/,
    );
  });

  it('whose control breaks has kept its comparisons', async () => {
    const { measure } = machine(1, 0.02);
    const breaking: MeasureSide = async (side, args, signal) => {
      if (args.includes('--handicap')) throw new InvalidRunError('broken');
      return await measure(side, args, signal);
    };
    const kept: Calibration[] = [];
    await expect(run(breaking, { keep: (calibration) => kept.push(calibration) })).rejects.toThrow('broken');
    expect(kept).toMatchObject([{ partial: true, positiveControl: null, metrics: [{ comparisons: 5 }, { comparisons: 5 }] }]);
  });

  it('of several scenarios is refused after the first pair', async () => {
    const { measure, calls } = machine(1);
    const several: MeasureSide = async (...args) => {
      const run = await measure(...args);
      return { ...run, scenarios: [...run.scenarios, { ...run.scenarios[0], id: 'another' }] };
    };
    await expect(run(several)).rejects.toThrow(/calibration takes one scenario, not 2/);
    expect(calls.length).toBe(2);
  });

  it('stopped, it keeps the comparisons that are complete; before the first it throws', async () => {
    const stop = new AbortController();
    const { measure } = machine(1, 0.1);
    let calls = 0;
    const stopping: MeasureSide = async (...args) => {
      if (++calls === 60) stop.abort(new Error('stopped'));
      return await measure(...args);
    };
    const calibration = await run(stopping, { signal: stop.signal });
    expect(calibration.partial).toBe(true);
    expect(calibration.positiveControl).toBeNull();
    expect(calibration.metrics[0].comparisons).toBe(2);
    await expect(run(measure, { signal: AbortSignal.abort(new Error('stopped')) })).rejects.toThrow('stopped');
  });
});
