import { describe, expect, test } from 'vitest';
import { applyEdits } from './edits.ts';
import { explore } from './explore.ts';
import { exploreAll, type Run } from './explorer.ts';
import { PLANTED } from './planted.ts';
import { describeScenario, type Scenario } from './scenario.ts';
import { RANDOM_SCENARIOS, replayFlag, SCENARIOS } from './scenarios.ts';
import type { TaskResult } from './tasks.ts';
import { LOG_DEVICE, LOG_SHIFT, LOG_SWITCHABLE, LOG_WRITE } from './turns.ts';

const RANDOM = 20_000;
const MINUTES = 60_000;

const found = (scenarios: readonly Scenario[], results: readonly TaskResult[]): string[] =>
  results.flatMap(({ findings }) =>
    findings.map(
      ({ scenario, text, schedule }) => `${describeScenario(scenarios[scenario])}: ${text}, ${replayFlag(scenarios[scenario], schedule)}`,
    ),
  );

describe('schedules of the two sides of a ring', () => {
  test('every schedule of at most three preemptions, with more buffers two: nothing is lost, doubled or wrong', {
    timeout: 10 * MINUTES,
  }, async () => {
    const results = await explore({
      scenarios: SCENARIOS,
      tasks: SCENARIOS.map(({ buffers }, scenario) => ({ kind: 'all', scenario, preemptions: buffers > 3 ? 2 : 3 })),
    });
    expect(found(SCENARIOS, results)).toEqual([]);
    expect(results.length).toBe(SCENARIOS.length);
    // Far fewer would mean that accesses are not seen.
    for (const { run, steps } of results) {
      expect(run).toBeGreaterThan(200);
      expect(steps).toBeGreaterThan(80);
    }
  });

  test('random schedules: nothing is lost, doubled or wrong', { timeout: 10 * MINUTES }, async () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    console.log(`random schedules, seed ${seed}`);
    const half = { kind: 'random', seed, count: RANDOM / 2 } as const;
    const tasks = [
      { ...half, from: 0 },
      { ...half, from: RANDOM / 2 },
    ];
    const results = await explore({ scenarios: RANDOM_SCENARIOS, tasks });
    expect(found(RANDOM_SCENARIOS, results)).toEqual([]);
    expect(results.reduce((total, { run }) => total + run, 0)).toBe(RANDOM);
  });

  test('passing preemptions over loses no order of conflicting accesses', { timeout: 10 * MINUTES }, async () => {
    const scenarios = SCENARIOS.filter(({ size, eventIdx, inOrder }) => size === 1 && eventIdx && !inOrder).map((scenario) => ({
      ...scenario,
      buffers: 2,
    }));
    const results = await explore({
      scenarios,
      tasks: scenarios.flatMap((_, scenario) =>
        [true, false].map((reduce) => ({ kind: 'all', scenario, preemptions: 2, reduce, orders: true }) as const),
      ),
    });
    for (const index of scenarios.keys()) {
      const of = results.filter(({ task }) => task.kind === 'all' && task.scenario === index);
      const reduced = of.find(({ task }) => task.kind === 'all' && task.reduce);
      const full = of.find(({ task }) => task.kind === 'all' && !task.reduce);
      expect(new Set(reduced?.orders)).toEqual(new Set(full?.orders));
      expect(full?.run).toBeGreaterThan(2 * (reduced?.run ?? 0));
      expect(reduced?.orders.length).toBeGreaterThan(100);
    }
  });

  test('a split ring whose indices were set is as one that was used so often', { timeout: MINUTES }, async () => {
    const scenarios = SCENARIOS.filter(({ ring, chain, batch }) => ring === 'split' && chain === 'single' && !batch);
    const results = await explore({ scenarios, tasks: scenarios.map((_, scenario) => ({ kind: 'preset', scenario })) });
    expect(found(scenarios, results)).toEqual([]);
    expect(results.length).toBe(scenarios.length);
  });

  test('a schedule that is run again finds the same again', { timeout: MINUTES }, async () => {
    const { edits, where } = PLANTED[0];
    const scenarios = SCENARIOS.filter((scenario) => isOf(scenario, where));
    const [first] = await explore({ scenarios, edits, tasks: [{ kind: 'all', scenario: 0, preemptions: 1, first: true }] });
    const { schedule } = first.findings[0];
    const again = await explore({ scenarios, edits, tasks: [{ kind: 'replay', scenario: 0, schedule }] });
    expect(again[0].findings).toEqual(first.findings);
  });
});

const isOf = (scenario: Scenario, where: Partial<Scenario>): boolean =>
  Object.entries(where).every(([key, value]) => scenario[key as keyof Scenario] === value);

describe('planted bugs are found within two preemptions', () => {
  test.each(PLANTED)('$name', { timeout: MINUTES }, async ({ edits, where, shows }) => {
    const scenarios = SCENARIOS.filter((scenario) => isOf(scenario, where));
    const results = await explore({
      scenarios,
      edits,
      pairs: 1,
      tasks: scenarios.map((_, scenario) => ({ kind: 'all', scenario, preemptions: 2, first: true })),
    });
    const texts = results.flatMap(({ findings }) => findings.map(({ text }) => text));
    expect(texts.length).toBeGreaterThan(0);
    for (const text of texts) expect(text).toMatch(shows);
  });

  test('an edit whose text is not there is an error', () => {
    expect(() => applyEdits('a.ts', 'one one', [{ file: 'a.ts', from: 'one', to: '' }])).toThrow('2 times');
    expect(() => applyEdits('a.ts', 'one', [{ file: 'a.ts', from: 'two', to: '' }])).toThrow('0 times');
  });
});

describe('what the explorer tries', () => {
  /** Two sides of straight-line accesses, neither of which ever blocks. */
  function twoSides(driver: readonly number[], device: readonly number[], ran: string[]): Run {
    let log: number[] = [];
    return {
      run(schedule) {
        const left = [driver.slice(), device.slice()];
        let side = 0;
        let text = '';
        log = [];
        while (left[0].length + left[1].length > 0) {
          if (left[side].length === 0 || (schedule.includes(log.length) && left[1 - side].length > 0)) side = 1 - side;
          const access = left[side].shift() ?? 0;
          text += side;
          log.push(access | (side === 1 ? LOG_DEVICE : 0) | (left[1 - side].length > 0 ? LOG_SWITCHABLE : 0));
        }
        ran.push(text);
        return null;
      },
      get steps() {
        return log.length;
      },
      logged: (step) => log[step],
      locations: 16,
    };
  }
  const read = (location: number): number => location << LOG_SHIFT;
  const write = (location: number): number => read(location) | LOG_WRITE;
  const options = { first: false, reduce: false } as const;

  test('with preemptions enough and nothing passed over, each interleaving once', () => {
    const ran: string[] = [];
    exploreAll(twoSides([write(1), write(1), write(1)], [write(1), write(1), write(1)], ran), { ...options, preemptions: 4 });
    expect(new Set(ran).size).toBe(20);
    expect(ran.length).toBe(20);
  });

  test('one preemption: at each step of either side', () => {
    const ran: string[] = [];
    exploreAll(twoSides([write(1), write(1)], [write(1), write(1)], ran), { ...options, preemptions: 1 });
    expect(ran.toSorted()).toEqual(['0011', '0110', '1001', '1100']);
  });

  test('of sides that share nothing, or only read it, hardly any schedule is run', () => {
    for (const [driver, device] of [
      [
        [write(1), write(1), write(1)],
        [write(2), write(2)],
      ],
      [
        [read(1), read(1), read(1)],
        [read(1), read(1)],
      ],
    ]) {
      const ran: string[] = [];
      exploreAll(twoSides(driver, device, ran), { ...options, reduce: true, preemptions: 3 });
      expect(ran.length).toBeLessThanOrEqual(6);
    }
  });

  test('an access at an unknown place is never passed over', () => {
    const ran: string[] = [];
    const { passed } = exploreAll(twoSides([read(0), read(0), read(0)], [read(3), read(3), read(3)], ran), {
      ...options,
      reduce: true,
      preemptions: 4,
    });
    expect(passed).toBe(0);
  });
});
