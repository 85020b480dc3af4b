import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type Calibration, readCalibration } from '../../../../reports/calibration.ts';
import { appliesTo, parseGate, parseThreshold } from '../../../../reports/gate/config.ts';
import { evaluate, type Figures, type Question } from '../../../../reports/gate/evaluate.ts';
import { questionsOfDocuments } from '../../../../reports/gate/questions.ts';
import { checkResolution } from '../../../../reports/gate/resolution.ts';
import { concludeGate, gateMarkdown, gateText } from '../../../../reports/gate/text.ts';
import { InputError, seededRandom } from '../../../../reports/index.ts';
import { buildRun, buildScenario } from '../../../support/run-document.ts';

const scratch = mkdtempSync(join(tmpdir(), 'scanout-gate-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const question = (text: string, figures: Figures): Question => ({ scenario: 'copy-4k-max', threshold: parseThreshold('*', text), figures });

/** Head is `factor` times base, with noise of 1%. */
function figures(factor: number, count = 16, paired = true): Figures {
  const random = seededRandom(17);
  const noise = (): number => 1 + (random() - 0.5) * 0.02;
  const base = Array.from({ length: count }, () => 100 * noise());
  return { paired, base, head: base.map(() => 100 * factor * noise()) };
}
const stateOf = (text: string, given: Figures): string => evaluate([question(text, given)], 0.01)[0].state;

describe('thresholds', () => {
  it('relative: fails beyond the bound as a whole, holds within as a whole, else is inconclusive', () => {
    for (const paired of [true, false]) {
      expect(stateOf('hostServiceUs.p50 < +5%', figures(1.2, 16, paired))).toBe('fail');
      expect(stateOf('hostServiceUs.p50 < +5%', figures(1, 16, paired))).toBe('pass');
      expect(stateOf('hostServiceUs.p50 < +5%', figures(1.05, 16, paired))).toBe('inconclusive');
      expect(stateOf('fps > -5%', figures(0.8, 16, paired))).toBe('fail');
      expect(stateOf('fps > -5%', figures(1.3, 16, paired))).toBe('pass');
      expect(stateOf('hostServiceUs.p50 < -5%', figures(0.8, 16, paired))).toBe('pass');
    }
  });

  it('relative: what a few pairs show fails nothing and holds nothing', () => {
    expect(stateOf('hostServiceUs.p50 < +5%', figures(3, 5))).toBe('inconclusive');
    expect(stateOf('hostServiceUs.p50 < +5%', figures(3, 3, false))).toBe('inconclusive');
    expect(stateOf('hostServiceUs.p50 < +50%', figures(1, 2))).toBe('inconclusive');
    expect(stateOf('hostServiceUs.p50 < +50%', figures(1, 3, false))).toBe('inconclusive');
  });

  it('without a difference a gate at the bound itself fails at most once in 100', () => {
    const seed = 23;
    console.log(`seed ${seed}`);
    const random = seededRandom(seed);
    let failed = 0;
    for (let trial = 0; trial < 300; trial++) {
      const base = Array.from({ length: 12 }, () => 100 * Math.exp((random() - 0.5) * 0.1));
      const head = base.map(() => 105 * Math.exp((random() - 0.5) * 0.1));
      if (stateOf('hostServiceUs.p50 < +5%', { paired: true, base, head }) === 'fail') failed++;
    }
    console.log(`${failed} of 300`);
    expect(failed).toBeLessThanOrEqual(8);
  });

  it('absolute: times by their interval, counts by a single value', () => {
    const of = (...head: number[]): Figures => ({ paired: false, base: [], head });
    expect(stateOf('hostServiceUs.p50 < 10', of(8, 8.1, 8.2))).toBe('pass');
    expect(stateOf('hostServiceUs.p50 < 10', of(12, 13, 12.5))).toBe('fail');
    expect(stateOf('hostServiceUs.p50 < 10', of(9, 13, 12.5))).toBe('inconclusive');
    expect(stateOf('framesTorn <= 0', of(0, 0, 0))).toBe('pass');
    expect(stateOf('framesTorn <= 0', of(0, 1, 0))).toBe('fail');
    expect(stateOf('fps >= 60', of(60))).toBe('pass');
  });
});

describe('the file', () => {
  it.each([
    ['{"thresholds": {"*": ["hostServiceUs.p50 < +5%"', /not JSON: it is cut off before its end/],
    ['[]', /not a JSON object/],
    ['{}', /"thresholds" is missing/],
    ['{"thresholds": {}}', /no thresholds/],
    ['{"threshold": {}}', /"threshold" is unknown/],
    ['{"thresholds": {"*": "fps > 5"}}', /not a list/],
    ['{"thresholds": {"*": [5]}}', /5 is no threshold/],
    ['{"thresholds": {"*": ["hostServiceUs < 5"]}}', /no metric "hostServiceUs": use hostServiceUs.mean/],
    ['{"thresholds": {"*": ["hostServiceUs.p50 < 5%"]}}', /with its sign/],
    ['{"thresholds": {"*": ["fps < +5%"]}}', /of fps higher is better: bound it from below/],
    ['{"thresholds": {"*": ["fps > -100%"]}}', /nothing falls by 100%/],
    ['{"thresholds": {"*": ["hostServiceUs.p50 < +0%"]}}', /no machine resolves/],
  ])('%s is refused in one line', (text, words) => {
    expect(() => parseGate(text, 'gate.json')).toThrow(InputError);
    expect(() => parseGate(text, 'gate.json')).toThrow(words);
    expect(() => parseGate(text, 'gate.json')).toThrow(/^gate\.json: [^\n]+$/);
  });

  it('names of scenarios take * for any characters, and nothing else is special', () => {
    const of = (scenarios: string) => parseThreshold(scenarios, 'fps > 5');
    expect(appliesTo(of('*'), 'copy-4k-max')).toBe(true);
    expect(appliesTo(of('*-4k-*'), 'copy-4k-max')).toBe(true);
    expect(appliesTo(of('copy'), 'copy-4k-max')).toBe(false);
    expect(appliesTo(of('copy.4k.max'), 'copy-4k-max')).toBe(false);
  });
});

describe('put to stored runs', () => {
  const run = buildRun({ scenarios: [buildScenario({ path: 'copy', rateHz: null, repetitions: 8 })] });

  it('a threshold about nothing that was measured does not pass unseen', () => {
    const other = parseGate('{"thresholds": {"udmabuf*": ["fps > 5"]}}', 'gate.json');
    expect(() => questionsOfDocuments(other, run, run)).toThrow(/"udmabuf\*", which no scenario of the run is: copy-2160p-max/);
    const missing = parseGate('{"thresholds": {"*": ["importUs.mean < 5"]}}', 'gate.json');
    expect(() => questionsOfDocuments(missing, run, run)).toThrow(/importUs.mean was not measured in copy-2160p-max/);
  });

  it('torn frames are those of the verify repetitions', () => {
    const thresholds = parseGate('{"thresholds": {"*": ["framesTorn <= 0"]}}', 'gate.json');
    const torn = structuredClone(run);
    torn.scenarios[0].results.framesTorn = 2;
    expect(evaluate(questionsOfDocuments(thresholds, null, run), 0.01)[0].state).toBe('pass');
    expect(evaluate(questionsOfDocuments(thresholds, null, torn), 0.01)[0]).toMatchObject({ state: 'fail', value: 2 });
  });
});

describe('in words', () => {
  const outcomes = evaluate([question('hostServiceUs.p50 < +5%', figures(1.2)), question('hostServiceUs.p50 < +90%', figures(1.2))], 0.01);
  const gate = concludeGate(outcomes, ['<b> note']);

  it('the reason is the first line, and no other is wider than 80 columns', () => {
    const [first, ...others] = gateText(gate).split('\n');
    expect(first).toMatch(/^gate failed: copy-4k-max: hostServiceUs\.p50 < \+5%, measured \+\d+\.\d% \[/);
    for (const line of others) expect([...line].length, line).toBeLessThanOrEqual(80);
    expect(concludeGate(outcomes.slice(1), []).reason).toBe('gate passed: 1 threshold holds');
  });

  it('Markdown has the same states, and nothing from files is markup', () => {
    expect(gateMarkdown(gate)).toMatch(/^### ✗ gate failed[\s\S]*✗ fail[\s\S]*✓ pass[\s\S]*\\<b\\> note/);
  });
});

describe('what this machine resolves', () => {
  const { environment } = buildRun();
  const calibration = {
    schemaVersion: 1,
    environment,
    scenario: 'copy-4k-max',
    maxPairs: 16,
    metrics: [
      { metric: 'hostServiceUs.p50', smallestDetectable: 0.034 },
      { metric: 'fps', smallestDetectable: null },
    ],
  } as unknown as Calibration;
  const check = (text: string, of = calibration) => checkResolution([question(text, figures(1))], of, environment, 'cal.json');

  it('a tighter gate is refused with the figure, a looser one is not', () => {
    expect(() => check('hostServiceUs.p50 < +2%')).toThrow(
      /"hostServiceUs.p50 < \+2%" of copy-4k-max is tighter than this machine can resolve: no change below 3.4% \(cal.json, 16 pairs\)/,
    );
    expect(() => check('hostServiceUs.p50 < +2%')).toThrow(InputError);
    expect(check('hostServiceUs.p50 < +5%')).toEqual([]);
    expect(() => check('fps > -50%')).toThrow(/no change up to a doubling/);
  });

  it('what is not calibrated, or was elsewhere, is said', () => {
    expect(check('hostServiceUs.p99 < +1%')).toEqual(['not calibrated: copy-4k-max hostServiceUs.p99']);
    expect(check('hostServiceUs.p99 < 10')).toEqual([]);
    const elsewhere = { ...calibration, environment: { ...environment, cpu: 'another' } };
    expect(check('hostServiceUs.p50 < +1%', elsewhere)[0]).toMatch(/cal.json was made elsewhere and is not used: cpu: another/);
  });

  it('a calibration of another version, truncated or malformed is refused in one line', () => {
    const path = join(scratch, 'cal.json');
    for (const [text, words] of [
      ['{"schemaVersion": 1, "scen', /not JSON: it is cut off before its end/],
      ['{"schemaVersion": 2}', /schemaVersion 2 is unknown; this version of scanout reads 1/],
      ['{}', /schemaVersion missing is unknown/],
      ['{"schemaVersion": 1}', /malformed/],
    ] as const) {
      writeFileSync(path, text);
      expect(() => readCalibration(path)).toThrow(words);
      expect(() => readCalibration(path)).toThrow(InputError);
    }
    expect(() => readCalibration(join(scratch, 'none.json'))).toThrow(/cannot be read/);
  });
});
