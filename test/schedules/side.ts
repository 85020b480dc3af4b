/** Worker: one side. The driver's side also explores, task by task, as it is asked to; the device's side plays along. */
import { parentPort, workerData } from 'node:worker_threads';
import { pinThread } from '../../benchmarks/micro/affinity.ts';
import type { Edit } from './edits.ts';
import { exploreAll, type Finding, type Run, randomSchedule, seeded } from './explorer.ts';
import { orderOf } from './orders.ts';
import { presetDifference } from './preset.ts';
import type { Scenario } from './scenario.ts';
import { setStage } from './stage.ts';
import type { Task, TaskResult } from './tasks.ts';
import { Aborted, DEVICE, Failure, type Side, Turns } from './turns.ts';
import { Watch } from './watch.ts';

export interface SideData {
  readonly side: Side;
  /** `TURN_CELLS` cells. */
  readonly turns: Int32Array;
  readonly memory: WebAssembly.Memory;
  readonly bells: Int32Array;
  readonly scenarios: readonly Scenario[];
  readonly edits: readonly Edit[];
  /** The CPU that both sides share: a handover then takes 3 µs, else ten times that. −1: any. */
  readonly cpu: number;
}

/** Runs a side's part; whatever ended it is in the turns' cells. */
function play(turns: Turns, part: () => void): void {
  try {
    if (turns.failure === Failure.none) part();
  } catch (error) {
    if (!(error instanceof Aborted)) turns.fail(Failure.wrong, error instanceof Error ? error.message : String(error));
  }
  turns.finish();
}

if (workerData !== null) {
  const { side, memory, bells, scenarios, edits, cpu, turns: cells } = workerData as SideData;
  if (cpu >= 0) await pinThread(cpu);
  const turns = new Turns(cells, side);
  const watch = new Watch(turns);
  const { stages, raw, runDriver, runDevice } = await setStage(turns, watch, memory, bells, scenarios, edits);

  let longest = 0;
  const run = (job: number, schedule: readonly number[]): string | null => {
    const { scenario, place, newDriver } = stages[job];
    turns.prepare(job, schedule);
    bells.fill(0);
    play(turns, () => runDriver(newDriver(), scenario, place, () => turns.arm()));
    longest = Math.max(longest, turns.steps);
    return turns.failure === Failure.none ? null : turns.failureText;
  };

  const runOf = (job: number): Run => ({
    run: (schedule) => run(job, schedule),
    get steps() {
      return turns.steps;
    },
    logged: (step) => turns.logged(step),
    locations: watch.locations,
  });

  const carryOut = (task: Task): TaskResult => {
    const began = performance.now();
    longest = 0;
    const findings: (Finding & { scenario: number })[] = [];
    const orders = new Set<number>();
    let runs = 0;
    let passed = 0;
    const attempt = (scenario: number, schedule: readonly number[]): void => {
      const text = run(scenario, schedule);
      runs++;
      if (text !== null) findings.push({ scenario, text, schedule });
    };
    if (task.kind === 'all') {
      const { scenario, preemptions, reduce = true, first = false } = task;
      const seen = task.orders === true ? (one: Run) => void orders.add(orderOf(one)) : undefined;
      const explored = exploreAll(runOf(scenario), { preemptions, reduce, first, ...(seen === undefined ? {} : { seen }) });
      runs = explored.run;
      passed = explored.passed;
      findings.push(...explored.findings.map((finding) => ({ ...finding, scenario })));
    } else if (task.kind === 'random') {
      for (let i = task.from; i < task.from + task.count; i++) attempt(i % scenarios.length, randomSchedule(seeded(task.seed + i)));
    } else if (task.kind === 'replay') {
      attempt(task.scenario, task.schedule);
    } else {
      const text = presetDifference(stages[task.scenario], raw);
      if (text !== null) findings.push({ scenario: task.scenario, text, schedule: [] });
    }
    const seconds = (performance.now() - began) / 1000;
    return { task, run: runs, passed, findings, steps: longest, seconds, orders: [...orders] };
  };

  if (side === DEVICE) {
    parentPort?.postMessage('ready');
    for (;;) {
      turns.awaitTurn();
      if (turns.job < 0) break;
      const { scenario, place, newDevice } = stages[turns.job];
      play(turns, () => runDevice(newDevice(), scenario, place));
    }
  } else {
    parentPort?.on('message', (task: Task | null) => {
      if (task !== null) {
        parentPort?.postMessage(carryOut(task));
        return;
      }
      turns.stop();
      parentPort?.close();
    });
    parentPort?.postMessage('ready');
  }
}
