import { beforeAll, describe, expect, it } from 'vitest';
import { type RunOptions, runScenarios } from '../../../benchmarks/runner.ts';
import { scenario } from '../../../benchmarks/scenarios.ts';
import { suiteNamed } from '../../../benchmarks/suites.ts';
import { formatRun, type RunDocument } from '../../../reports/index.ts';
import { type SessionOutcome, SessionRunner } from '../../../workers/session.ts';

const small = (path: 'udmabuf' | 'copy') => scenario({ path, width: 64, height: 64, logCapacity: 1024 });
const LOST: SessionOutcome = { kind: 'failed', side: 'host', reason: 'its worker ended without an error (exit code 0)' };

/** Sessions of which some are lost; those of scenarios too, which the log's small size tells from warm-ups. */
class LosingSessions extends SessionRunner {
  readonly #lost: (path: string) => boolean;
  readonly #before: (session: number) => void;
  #sessions = 0;

  constructor(lost: (path: string) => boolean, before: (session: number) => void = () => {}) {
    super();
    this.#lost = lost;
    this.#before = before;
  }

  override async run(...args: Parameters<SessionRunner['run']>): Promise<SessionOutcome> {
    const { options } = args[0];
    if (options.logCapacity !== 1024) return { kind: 'aborted' };
    const session = this.#sessions++;
    this.#before(session);
    return this.#lost(options.path) ? LOST : super.run(...args);
  }
}

async function run(sessions: SessionRunner, signal = new AbortController().signal, other: Partial<RunOptions> = {}): Promise<RunDocument> {
  const timing = {
    ...suiteNamed('quick').timing,
    repetitions: 2,
    warmupMs: 1,
    warmupFrames: 1,
    measureMs: 15,
    verifyMs: 15,
    maxRepeated: 0,
    limitsSeconds: 1,
  };
  const options: RunOptions = {
    suite: 'test',
    scenarios: [small('udmabuf'), small('copy')],
    timing,
    seed: 1,
    command: 'scanout run',
    signal,
    progress: () => {},
    sessions,
    ...other,
  };
  const document = await runScenarios(options);
  // It keeps to the schema.
  formatRun(document);
  return document;
}

const failed = (document: RunDocument): [string, string][] =>
  document.checks.filter(({ status }) => status === 'fail').map(({ name, detail }) => [name, detail ?? '']);

describe('a lost worker', () => {
  // udmabuf's is lost each time, copy's the first time.
  const tried = { udmabuf: 0, copy: 0 };
  let document: RunDocument;
  beforeAll(async () => {
    document = await run(
      new LosingSessions((path) => {
        if (path === 'udmabuf') tried.udmabuf++;
        return path === 'udmabuf' || (path === 'copy' && tried.copy++ === 0);
      }),
    );
  });

  it('is in the report and fails a check, and the other repetitions count', () => {
    expect(document.scenarios.map(({ id, workerFailures }) => [id, workerFailures])).toEqual([
      ['copy-64x64-max', [`the host failed: ${LOST.reason}`]],
    ]);
    expect(document.scenarios[0].repetitions.map(({ kind }) => kind)).toEqual(['timed', 'verify']);
    expect(failed(document)).toContainEqual(['copy-64x64-max ends every repetition', `the host failed: ${LOST.reason}`]);
  });

  it('a scenario that loses it each time is given up with the reason', () => {
    expect(tried.udmabuf).toBe(2);
    expect(document.skipped).toEqual([{ id: 'udmabuf-64x64-max', reason: `the host failed: ${LOST.reason}` }]);
    expect(failed(document)).toContainEqual(['udmabuf-64x64-max runs', `the host failed: ${LOST.reason}`]);
  });
});

it('repetitions go round the scenarios in an order that alternates, each with a seed of its own', async () => {
  const seen: { path: string; seed: number }[] = [];
  class Watched extends SessionRunner {
    override async run(...args: Parameters<SessionRunner['run']>): Promise<SessionOutcome> {
      const { path, seed, logCapacity } = args[0].options;
      if (logCapacity !== 1024) return { kind: 'aborted' };
      seen.push({ path, seed });
      return LOST;
    }
  }
  await run(new Watched());
  // Lost twice, each is given up before its verify repetition.
  expect(seen.map(({ path }) => path)).toEqual(['udmabuf', 'copy', 'copy', 'udmabuf']);
  expect(new Set(seen.map(({ seed }) => seed)).size).toBe(4);
});

it('a run that had no time for all repetitions says how many it left out', async () => {
  const said: [done: number, total: number, text: string][] = [];
  const timing = { ...suiteNamed('quick').timing, repetitions: 3, maxRepeated: 0, limitsSeconds: 1, maxSeconds: 0 };
  const progress: RunOptions['progress'] = ({ done, total, text }) => said.push([done, total, text]);
  await run(new LosingSessions(() => true), new AbortController().signal, { timing, progress });
  // The limits, a repetition of each and the search for torn frames: two rounds of two are missing.
  expect(said.at(-1)).toEqual([5, 9, "done; 4 repetitions left out: the run's time was over"]);
});

describe('an aborted run', () => {
  it('keeps what was measured before, marked', async () => {
    const controller = new AbortController();
    // The second session is the first of the second scenario.
    const document = await run(
      new LosingSessions(
        () => false,
        (session) => session === 1 && controller.abort(),
      ),
      controller.signal,
    );
    expect(document).toMatchObject({ partial: true, partialReason: 'stopped before its end' });
    expect(document.scenarios.map(({ id, repetitions }) => [id, repetitions.length])).toEqual([['udmabuf-64x64-max', 1]]);
    expect(document.skipped.map(({ id }) => id)).toEqual(['copy-64x64-max']);
  });

  it('that was stopped in the measurement of the limits says that they are unavailable', async () => {
    const document = await run(new LosingSessions(() => false), AbortSignal.timeout(150));
    expect(document).toMatchObject({
      partial: true,
      scenarios: [],
      limits: { memcpyGBps: null, unavailable: { memcpyGBps: 'stopped before it was measured' } },
    });
    expect(document.skipped).toHaveLength(2);
  });
});
