import { describe, expect, it } from 'vitest';
import { compareDocuments } from '../../../../reports/compare/documents.ts';
import { changeWords, comparisonMarkdown, comparisonText } from '../../../../reports/compare/text.ts';
import { InputError } from '../../../../reports/index.ts';
import type { RunDocument } from '../../../../reports/run-document.ts';
import { encodeMetrics } from '../../../support/encode-metrics.ts';
import { glassMetrics } from '../../../support/glass-metrics.ts';
import { buildRun, buildScenario, hostWork } from '../../../support/run-document.ts';

/** Two paths, `repetitions` each, all times of head stretched. */
function runs(repetitions: number, stretch = 1): [RunDocument, RunDocument] {
  const make = (by: number): RunDocument => {
    const scenarios = (['udmabuf', 'copy'] as const).map((path) => {
      const scenario = buildScenario({ path, rateHz: null, repetitions });
      for (const [i, repetition] of scenario.repetitions.entries()) {
        hostWork(repetition).p50 = 100 * by * (1 + ((i * 7) % 5) * 0.001 + i * 1e-5);
      }
      return scenario;
    });
    return buildRun({ scenarios });
  };
  return [make(1), make(stretch * 1.0000001)];
}
const metrics = ['hostServiceUs.p50'];
const verdicts = (documents: [RunDocument, RunDocument], margin = 0.05): string[] =>
  compareDocuments(...documents, { metrics, margin }).comparisons.map(({ verdict }) => verdict);

describe('stored runs', () => {
  it('a stretch beyond the margin regresses, the other way improves, none is equivalent', () => {
    expect(verdicts(runs(10, 1.2))).toEqual(['regressed', 'regressed']);
    expect(verdicts(runs(10, 1 / 1.2))).toEqual(['improved', 'improved']);
    expect(verdicts(runs(10))).toEqual(['equivalent', 'equivalent']);
  });

  it('a rate that falls has regressed', () => {
    const [base, head] = runs(10);
    for (const scenario of head.scenarios) for (const repetition of scenario.repetitions) repetition.fps /= 3;
    expect(compareDocuments(base, head, { metrics: ['fps'] }).verdict).toBe('regressed');
  });

  it('what an encoder gets and what a viewer waits are compared unless metrics are named, where they were measured', () => {
    const [base, head] = runs(10);
    expect(compareDocuments(base, head).notes.join()).not.toMatch(/encode|glass/);
    for (const [run, by] of [
      [base, 1],
      [head, 1.3],
    ] as const) {
      const [first, second] = run.scenarios;
      for (const [i, one] of first.repetitions.entries()) one.encode = { ...encodeMetrics(), fps: (100 + i * 0.01) / by };
      for (const [i, one] of second.repetitions.entries()) one.glass = { ...glassMetrics(), p50Us: (40_000 + i) * by };
    }
    const found = compareDocuments(base, head).comparisons.filter(({ verdict }) => verdict === 'regressed');
    expect(found.map(({ metric }) => metric)).toEqual(['encode.fps', 'glass.p50Us']);
  });

  it('three repetitions a side prove nothing, whatever they show, and the notes say how many would', () => {
    const document = compareDocuments(...runs(3, 3), { metrics });
    expect(document.verdict).toBe('inconclusive');
    expect(document.comparisons.every(({ paired, pairs }) => !paired && pairs === 3)).toBe(true);
    expect(document.advice).toMatch(/^3 repetitions a side can show no change.* in 2 comparisons at 1%.*--repetitions 6 or more/);
    const [first, second] = comparisonText(document).split('\n');
    expect(first).toMatch(/^INCONCLUSIVE/);
    expect(second).toMatch(/^> 3 repetitions a side can show no change/);
    expect(document.notes.join('\n')).toMatch(/not interleaved.*margin 5%/);
  });

  it('disturbed repetitions are left out while there are others, else it is noted', () => {
    const [base, head] = runs(10);
    for (const repetition of head.scenarios[0].repetitions.slice(0, 4)) {
      repetition.disturbed = true;
      hostWork(repetition).p50 *= 50;
    }
    expect(compareDocuments(base, head, { metrics }).comparisons[0]).toMatchObject({ pairs: 6, verdict: 'equivalent' });
    for (const repetition of head.scenarios[0].repetitions) repetition.disturbed = true;
    expect(compareDocuments(base, head, { metrics }).notes.join('\n')).toMatch(/every repetition was disturbed.*udmabuf/);
  });

  it('different environments are refused, and on request compared and marked', () => {
    const [base, head] = runs(10);
    head.environment.kernel = 'Linux 6.1';
    expect(() => compareDocuments(base, head)).toThrow(/different environments: kernel: .* --across-environments/);
    expect(compareDocuments(base, head, { acrossEnvironments: true }).notes[0]).toMatch(/^DIFFERENT ENVIRONMENTS, kernel: /);
    head.environment.kernel = base.environment.kernel;
    head.environment.loadAverage = [9, 9, 9];
    expect(compareDocuments(base, head).notes.join()).not.toMatch(/ENVIRONMENTS/);
  });

  it('no common scenario, an unknown one, an unknown metric: one line that says what there is', () => {
    const [base, head] = runs(5);
    const other = { ...head, scenarios: head.scenarios.map((scenario) => ({ ...scenario, id: `${scenario.id}-packed` })) };
    for (const [attempt, words] of [
      [() => compareDocuments(base, other), /no common scenarios: base has udmabuf/],
      [() => compareDocuments(base, head, { scenarios: ['nope'] }), /"nope" is not in both runs; they share udmabuf/],
      [() => compareDocuments(base, head, { metrics: ['hostServiceUs.p95'] }), /no metric "hostServiceUs.p95": use hostServiceUs.mean/],
      [() => compareDocuments(base, head, { metrics: ['framesTorn'] }), /no figures of framesTorn in common/],
    ] as const) {
      expect(attempt).toThrow(InputError);
      expect(attempt).toThrow(words);
    }
  });

  it('enough repetitions that noise makes inconclusive ask for more, conclusive ones for nothing, unequal numbers for what they can show', () => {
    const [base, head] = runs(10);
    expect(compareDocuments(base, head, { metrics }).advice).toBeNull();
    for (const { repetitions } of head.scenarios)
      for (const [i, one] of repetitions.entries()) hostWork(one).p50 *= i % 2 === 0 ? 1.4 : 0.8;
    expect(compareDocuments(base, head, { metrics }).advice).toMatch(/too much noise for 10 .*--repetitions 20/);
    // 3 against 10 can reach 2 / 286, which is enough for one comparison.
    const [few, many] = [runs(3)[0], runs(10, 1.3)[1]];
    const one = compareDocuments(few, many, { metrics, scenarios: [few.scenarios[0].id] });
    expect(one).toMatchObject({ verdict: 'regressed', advice: null });
  });

  it('a metric that is 0 or missing on one side is said, and the document is inconclusive', () => {
    const [base, head] = runs(10);
    for (const repetition of base.scenarios[0].repetitions) repetition.copiesPerFrame = 0;
    for (const repetition of head.scenarios[0].repetitions) repetition.copiesPerFrame = 1;
    for (const run of [base, head]) for (const repetition of run.scenarios[1].repetitions) repetition.copiesPerFrame = 0;
    const document = compareDocuments(base, head, { metrics: ['hostServiceUs.p50', 'copiesPerFrame', 'importUs.mean'] });
    expect(document.comparisons.map(({ metric }) => metric)).not.toContain('copiesPerFrame');
    expect(document.verdict).toBe('inconclusive');
    expect(document.notes.join('\n')).toMatch(/NOT COMPARED.*copiesPerFrame of udmabuf-2160p-max \(base 0, head 1\.0\)/);
    expect(document.notes.join('\n')).toMatch(/0 on both sides: copiesPerFrame of copy/);
    expect(document.notes.join('\n')).toMatch(/measured on neither side: importUs\.mean of copy/);
    expect(() => compareDocuments(base, head, { metrics: ['copiesPerFrame'] })).toThrow(/copiesPerFrame of udmabuf.* has no ratio/);
  });

  it('who sleeps more is better, as who spins less', () => {
    const [base, head] = runs(10);
    for (const { repetitions } of head.scenarios) for (const one of repetitions) one.sleepShare.host = 0.4;
    expect(compareDocuments(base, head, { metrics: ['sleepShare.host'] }).verdict).toBe('regressed');
  });

  it('scenarios of the same id that were set differently are noted', () => {
    const [base, head] = runs(5);
    head.scenarios[0].settings = { policy: 'error' };
    expect(compareDocuments(base, head).notes.join('\n')).toMatch(/set differently: udmabuf/);
  });
});

describe('in words', () => {
  const document = compareDocuments(...runs(10, 1.2), {});

  it('the verdict comes first, and no line is wider than 80 columns', () => {
    const text = comparisonText(document);
    expect(text).toMatch(/^REGRESSED: of 8 comparisons: 2 regressed/);
    for (const line of text.split('\n')) expect([...line].length, line).toBeLessThanOrEqual(80);
    expect(text).toMatch(/of these two\s+runs;\s+runs\s+of\s+one\s+program\s+differ/);
    expect(text).toMatch(/hostServiceUs\.p50 +\+20\.\d% \[\+19\.\d%, \+20\.\d%\] +✗ regressed/);
  });

  it('changes are percentages, then multiples, and what bounds nothing is called so', () => {
    const words = [1.052, 0.996, 1.00001, 2.5, 12, 1200, 9e12, Number.POSITIVE_INFINITY].map(changeWords);
    expect(words).toEqual(['+5.2%', '-0.4%', '0.0%', '+150%', '×12.0', '×1200', 'any', 'any']);
  });

  it('no line is wider than 80 columns with one repetition a side either', () => {
    for (const count of [1, 2])
      for (const line of comparisonText(compareDocuments(...runs(count, 3))).split('\n'))
        expect([...line].length, line).toBeLessThanOrEqual(80);
  });

  it('Markdown has the same verdicts, and names from files are no markup', () => {
    expect(comparisonMarkdown(document)).toMatch(/^\*\*REGRESSED[\s\S]*\| udmabuf-2160p-max \| hostServiceUs\.p50 \| \+20/);
    const evil = { ...document, notes: ['<img src=x> | a'], comparisons: [] };
    expect(comparisonMarkdown(evil)).toContain('\\<img src=x\\> \\| a');
  });
});
