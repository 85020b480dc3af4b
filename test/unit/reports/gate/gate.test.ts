import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type Calibration, readCalibration } from '../../../../reports/calibration.ts';
import { appliesTo, parseGate, parseThreshold } from '../../../../reports/gate/config.ts';
import { evaluate, type Figures, type Question } from '../../../../reports/gate/evaluate.ts';
import { questionsOfDocuments, questionsOfPairs } from '../../../../reports/gate/questions.ts';
import { checkResolution } from '../../../../reports/gate/resolution.ts';
import { concludeGate, gateMarkdown, gateText } from '../../../../reports/gate/text.ts';
import { InputError, type RunDocument, seededRandom } from '../../../../reports/index.ts';
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
      expect(stateOf('encode.fps > -5%', figures(0.8, 16, paired))).toBe('fail');
      expect(stateOf('glass.p50Us < +10%', figures(1.3, 16, paired))).toBe('fail');
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
    for (const counted of ['glass.lost', 'glass.backwards', 'encode.releasedLate', 'encode.bytesCopied.gather'])
      expect(stateOf(`${counted} <= 0`, of(0, 1, 0)), counted).toBe('fail');
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
    ['{"thresholds": {"*": ["fps > -5%"], "*": ["fps > 5"]}}', /"\*" is there twice, and only the last would count/],
    ['{"thresholds": {"*": ["fps > 5"]}, "thresholds": {"*": ["fps > 6"]}}', /"thresholds" is there twice/],
    ['{"thresholds": {"*": ["fps > -5%", "fps  >  -5%"]}}', /"fps > -5%" is there twice/],
    ['{"thresholds": {"*": ["fps > -5"]}}', /a change needs its %, as in -5%/],
    ['{"thresholds": {"*": ["hostServiceUs.p50 < +5"]}}', /a change needs its %/],
    ['{"thresholds": {"*": ["fps >= 0"]}}', /always holds/],
    ['{"thresholds": {"*": ["framesTorn < 0"]}}', /never holds: write <= 0/],
    ['{"__proto__": {"*": ["fps > 5"]}, "thresholds": {"*": ["fps > 5"]}}', /"__proto__" is unknown/],
  ])('%s is refused in one line', (text, words) => {
    expect(() => parseGate(text, 'gate.json')).toThrow(InputError);
    expect(() => parseGate(text, 'gate.json')).toThrow(words);
    expect(() => parseGate(text, 'gate.json')).toThrow(/^gate\.json: [^\n]+$/);
  });

  it('braces and colons within names, and a name of two objects, are no name given twice', () => {
    const text = '{"thresholds": {"a{\\":": ["fps > 5"], "a}": ["fps > 5"], "thresholds": ["fps > 5"]}}';
    expect(parseGate(text, 'gate.json').map(({ scenarios }) => scenarios)).toEqual(['a{":', 'a}', 'thresholds']);
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

  /** Base and head of two scenarios, changed as told. */
  function sides(change: (head: RunDocument, base: RunDocument) => void): [RunDocument, RunDocument] {
    const make = (): RunDocument =>
      buildRun({ scenarios: (['udmabuf', 'copy'] as const).map((path) => buildScenario({ path, rateHz: null, repetitions: 8 })) });
    const [base, head] = [make(), make()];
    change(head, base);
    return [base, head];
  }
  const put = (text: string, [base, head]: [RunDocument, RunDocument]) =>
    questionsOfDocuments(parseGate(`{"thresholds": {"*": ["${text}"]}}`, 'gate.json'), base, head);

  it('a scenario that head has lost does not pass unseen, and one that base has not is said', () => {
    expect(() =>
      put(
        'fps > -5%',
        sides((head) => head.scenarios.shift()),
      ),
    ).toThrow(/is for udmabuf-2160p-max too, which base has and head has not/);
    expect(() =>
      put(
        'fps > 5',
        sides((head) => head.scenarios.shift()),
      ),
    ).toThrow(InputError);
    const { questions, notes } = put(
      'fps > -5%',
      sides((_, base) => base.scenarios.shift()),
    );
    expect(questions.map(({ scenario }) => scenario)).toEqual(['copy-2160p-max']);
    expect(notes).toEqual(['"fps > -5%" is not asked: base has no udmabuf-2160p-max to compare it with']);
  });

  it('a percentage of what is 0 at times is refused, of what is 0 on both sides not asked', () => {
    const copying = sides((head) => {
      for (const repetition of head.scenarios[0].repetitions) repetition.copiesPerFrame = 1;
    });
    expect(() => put('copiesPerFrame < +5%', copying)).toThrow(
      /copiesPerFrame of udmabuf-2160p-max has no percentage \(base 0, head 1\.0\): bound it by itself/,
    );
    const { questions, notes } = put(
      'copiesPerFrame < +5%',
      sides(() => {}),
    );
    expect(questions.length).toBe(1);
    expect(notes[0]).toMatch(/copiesPerFrame is 0 on both sides of udmabuf/);
    expect(() =>
      put(
        'stutters < +5%',
        sides(() => {}),
      ),
    ).toThrow(/stutters is 0 on both sides/);
  });

  it('a metric that head has lost does not pass unseen', () => {
    const fallenBack = sides((head) => {
      for (const repetition of head.scenarios[0].repetitions) repetition.importUs = null;
    });
    expect(() => put('importUs.mean < 5000', fallenBack)).toThrow(/importUs.mean of udmabuf.* was measured in base, but not in head/);
    expect(() => put('importUs.mean < +5%', fallenBack)).toThrow(/has no percentage \(base 420, head nothing\)/);
    expect(
      put(
        'importUs.mean < 5000',
        sides(() => {}),
      ).notes[0],
    ).toMatch(/importUs.mean was not measured in copy/);
  });

  it('copies and errors count in disturbed repetitions, too', () => {
    const wrong = sides((head) => {
      const [repetition] = head.scenarios[0].repetitions;
      Object.assign(repetition, { disturbed: true, copiesPerFrame: 1, vblanksMissed: 9 });
    });
    const states = (text: string) => evaluate(put(text, wrong).questions, 0.01).map(({ state }) => state);
    expect(states('copiesPerFrame <= 1')).toEqual(['pass', 'pass']);
    expect(states('copiesPerFrame <= 0')[0]).toBe('fail');
    expect(states('vblanksMissed <= 0')).toEqual(['pass', 'pass']);
  });

  it('an absolute threshold on pairs needs no figures of base', () => {
    const [base, head] = sides((_, old) => {
      for (const { repetitions } of old.scenarios) for (const repetition of repetitions) repetition.importUs = null;
    });
    const thresholds = parseGate('{"thresholds": {"udmabuf*": ["importUs.mean < 5000"]}}', 'gate.json');
    expect(questionsOfPairs(thresholds, [[base, head]]).questions[0].figures.head).toEqual([420]);
  });

  it('torn frames are those of the verify repetitions', () => {
    const thresholds = parseGate('{"thresholds": {"*": ["framesTorn <= 0"]}}', 'gate.json');
    const torn = structuredClone(run);
    torn.scenarios[0].results.framesTorn = 2;
    expect(evaluate(questionsOfDocuments(thresholds, null, run).questions, 0.01)[0].state).toBe('pass');
    expect(evaluate(questionsOfDocuments(thresholds, null, torn).questions, 0.01)[0]).toMatchObject({ state: 'fail', value: 2 });
  });
});

it('intervals of bounds by themselves hold all at once, and at the level of a look', () => {
  const random = seededRandom(5);
  const head = Array.from({ length: 12 }, () => 100 * (1 + (random() - 0.5) * 0.1));
  const alone = question('hostServiceUs.p50 < 200', { paired: true, base: [], head });
  const width = (count: number, alpha: number): number => {
    const [{ low, high }] = evaluate(new Array<Question>(count).fill(alone), alpha);
    return high - low;
  };
  expect(width(10, 0.01)).toBeGreaterThan(width(1, 0.01));
  expect(width(1, 0.0025)).toBeGreaterThan(width(1, 0.01));
});

describe('in words', () => {
  const outcomes = evaluate([question('hostServiceUs.p50 < +5%', figures(1.2)), question('hostServiceUs.p50 < +90%', figures(1.2))], 0.01);
  const gate = concludeGate(outcomes, ['<b> note']);

  it('the reason is the first line, and no other is wider than 80 columns', () => {
    const [first, ...others] = gateText(gate).split('\n');
    expect(first).toMatch(/^gate failed: copy-4k-max: hostServiceUs\.p50 < \+5%, measured \+\d+\.\d% \[/);
    for (const line of others) expect([...line].length, line).toBeLessThanOrEqual(80);
    expect(concludeGate(outcomes.slice(1), []).reason).toBe('gate passed: 1 threshold holds');
    expect(concludeGate([], []).state).toBe('inconclusive');
  });

  it('a long table begins with what failed and keeps within what a job summary takes', () => {
    const many = [...new Array<(typeof outcomes)[0]>(9000).fill(outcomes[1]), outcomes[0]];
    const markdown = gateMarkdown(concludeGate(many, []));
    expect(Buffer.byteLength(markdown)).toBeLessThan(2 ** 20);
    expect(markdown.split('\n')[4]).toMatch(/✗ fail/);
    expect(markdown.split('\n').filter((line) => line.startsWith('| copy-4k-max')).length).toBe(1000);
    expect(markdown).toMatch(/And 8,001 more/);
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
  const check = (text: string, of = calibration, maxPairs: number | null = 16) =>
    checkResolution([question(text, figures(1))], of, environment, 'cal.json', maxPairs);

  it('a tighter gate is refused with the figure, a looser one is not', () => {
    expect(() => check('hostServiceUs.p50 < +2%')).toThrow(
      /"hostServiceUs.p50 < \+2%" of copy-4k-max is tighter than this machine can resolve: no change below 3.4% \(cal.json, 16 pairs\)/,
    );
    expect(() => check('hostServiceUs.p50 < +2%')).toThrow(InputError);
    expect(check('hostServiceUs.p50 < +5%')).toEqual([]);
    expect(() => check('fps > -50%')).toThrow(/no change up to a doubling/);
  });

  it('fewer pairs than were calibrated, or stored runs, resolve less, and that is said', () => {
    expect(check('hostServiceUs.p50 < +5%', calibration, 8)).toEqual(['cal.json is of 16 pairs: 8 resolve less; --max-pairs 16 or more']);
    expect(check('hostServiceUs.p50 < +5%', calibration, null)[0]).toMatch(/of interleaved pairs: stored runs resolve less/);
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
      ['{"schemaVersion": 1, "scenario": "a", "environment": {}, "metrics": []}', /maxPairs .* malformed/],
      [
        '{"schemaVersion": 1, "scenario": "a", "environment": {}, "maxPairs": 9, "metrics": [{"metric": "fps", "smallestDetectable": "5"}]}',
        /malformed/,
      ],
    ] as const) {
      writeFileSync(path, text);
      expect(() => readCalibration(path)).toThrow(words);
      expect(() => readCalibration(path)).toThrow(InputError);
    }
    expect(() => readCalibration(join(scratch, 'none.json'))).toThrow(/cannot be read/);
  });
});
