import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { monotonicNowNs } from '../../../core/measure/clock.ts';
import { Alive, DeviceRegisters } from '../../../core/ring/registers.ts';
import runSide from '../../../workers/entry.ts';
import { claimKill } from '../../../workers/guest-end.ts';
import { type SessionOutcome, SessionRunner } from '../../../workers/session.ts';
import type { Window } from '../../../workers/task.ts';
import { LONG, SHORT, scriptedPlan } from '../../support/scripted-plan.ts';
import type { Act, ScriptedPlan } from '../../support/scripted-side.ts';

const support = (name: string): string => join(import.meta.dirname, '../../support', name);
const entry = new URL('../../support/scripted-side.ts', import.meta.url).href;

let sessions: SessionRunner;
beforeEach(() => {
  sessions = new SessionRunner(entry);
});
afterEach(() => sessions.close());

/** Runs a session. @returns its outcome and how long it took, ms */
async function play(
  plan: ScriptedPlan,
  window: Window = SHORT,
  timeoutMs = 20_000,
  signal?: AbortSignal,
): Promise<{ outcome: SessionOutcome; ms: number }> {
  const begun = monotonicNowNs();
  const outcome = await sessions.run(plan, window, timeoutMs, signal);
  return { outcome, ms: (monotonicNowNs() - begun) / 1e6 };
}

const threadsOf = (plan: ScriptedPlan): number[] => [...new Int32Array(plan.threads)];
const threadCount = (): number => readdirSync('/proc/self/task').length;

describe('a session', () => {
  it('runs both sides to their end and keeps the workers warm for the next', async () => {
    const first = scriptedPlan({});
    const { outcome } = await play(first);
    if (outcome.kind !== 'done') throw new Error(JSON.stringify(outcome));
    expect(outcome.guest.frames).toBeGreaterThan(0);
    expect(outcome.host).toMatchObject({ role: 'host', needsReset: false, budgetAfterReset: 0 });
    const second = scriptedPlan({});
    expect((await play(second)).outcome.kind).toBe('done');
    expect(threadsOf(second).sort()).toEqual(threadsOf(first).sort());
  });

  it('whose guest has done its work leaves a fault nothing to end', async () => {
    const plan = scriptedPlan({});
    expect((await play(plan)).outcome.kind).toBe('done');
    expect(claimKill(new Int32Array(plan.control))).toBe(false);
  });

  it('leaves no thread behind when it is closed', async () => {
    const before = threadCount();
    await play(scriptedPlan({}));
    expect(threadCount()).toBe(before + 2);
    await sessions.close();
    expect(threadCount()).toBe(before);
  });

  it.each(['guest', 'host'] as const)('reports what a failing %s said', async (role) => {
    const { outcome } = await play(scriptedPlan({ [role]: { act: 'throw', message: 'no such luck' } }), LONG);
    expect(outcome).toEqual({ kind: 'failed', side: role, reason: 'RangeError: no such luck' });
  });

  it.each([
    ['guest', { act: 'exit', code: 0 }, 'its worker ended without an error (exit code 0)'],
    ['host', { act: 'exit', code: 0 }, 'its worker ended without an error (exit code 0)'],
    ['host', { act: 'exit', code: 7 }, 'its worker ended without an error (exit code 7)'],
  ] as const)('notices a %s whose worker is gone without an error: %o', async (role, act, reason) => {
    // The other side works on for ten minutes unless it is told.
    const { outcome, ms } = await play(scriptedPlan({ [role]: act }), LONG);
    expect(outcome).toEqual({ kind: 'failed', side: role, reason });
    expect(ms).toBeLessThan(5000);
  });

  it('blames the side that failed first, not the one that only followed', async () => {
    const { outcome } = await play(scriptedPlan({ host: { act: 'exit', code: 1 }, guest: { act: 'throw when stopped' } }), LONG);
    expect(outcome).toMatchObject({ kind: 'failed', side: 'host' });
  });

  it('a side that ends without a report is a failure, not a wait', async () => {
    const { outcome } = await play(scriptedPlan({ host: { act: 'no report' }, guest: { act: 'no report' } }));
    expect(outcome).toEqual({ kind: 'failed', side: 'session', reason: 'a side ended without a report' });
  });

  it.each([{ act: 'hang' }, { act: 'spin' }] satisfies Act[])('times out a host that does not end, and names it: %o', async (act) => {
    await play(scriptedPlan({}));
    const { outcome, ms } = await play(scriptedPlan({ host: act }), LONG, 300);
    // A guest that nothing answers is still probing.
    const reason = expect.stringMatching(
      /^no end after 300 ms: guest (not started|starting), host not started; the host did not stop either$/,
    );
    expect(outcome).toEqual({ kind: 'failed', side: 'host', reason });
    expect(ms).toBeLessThan(1500);
  });

  it('times out two sides that work for too long', async () => {
    await play(scriptedPlan({}));
    const { outcome } = await play(scriptedPlan({}), LONG, 600);
    expect(outcome).toEqual({ kind: 'failed', side: 'session', reason: 'no end after 600 ms: guest running, host running' });
  });

  it.each([
    ['works', {}],
    ['hangs', { host: { act: 'hang' } }],
    ['spins', { guest: { act: 'spin' }, host: { act: 'spin' } }],
  ] satisfies [string, ScriptedPlan['script']][])('is aborted within a second while a side %s', async (_, script) => {
    const controller = new AbortController();
    const plan = scriptedPlan(script);
    const running = play(plan, LONG, 60_000, controller.signal);
    await started(plan);
    const asked = monotonicNowNs();
    controller.abort();
    expect((await running).outcome).toEqual({ kind: 'aborted' });
    await sessions.close();
    expect((monotonicNowNs() - asked) / 1e6).toBeLessThan(1000);
  });

  it('sides that stop when they are told to keep their workers warm', async () => {
    const controller = new AbortController();
    const aborted = scriptedPlan({});
    const running = play(aborted, LONG, 60_000, controller.signal);
    await started(aborted);
    controller.abort();
    expect((await running).outcome).toEqual({ kind: 'aborted' });
    const next = scriptedPlan({});
    expect((await play(next)).outcome.kind).toBe('done');
    expect(threadsOf(next).sort()).toEqual(threadsOf(aborted).sort());
  });

  it('does not begin when it was aborted before', async () => {
    const plan = scriptedPlan({});
    expect((await play(plan, SHORT, 1000, AbortSignal.abort())).outcome).toEqual({ kind: 'aborted' });
    expect(threadsOf(plan)).toEqual([0, 0]);
  });

  it.each([{ act: 'exit', code: 0 }, { act: 'throw', message: 'x' }, { act: 'hang' }] satisfies Act[])(
    'the next one gets fresh workers after %o',
    async (act) => {
      const sick = scriptedPlan({ host: act });
      expect((await play(sick, LONG, 500)).outcome.kind).toBe('failed');
      const sound = scriptedPlan({});
      expect((await play(sound)).outcome.kind).toBe('done');
      for (const thread of threadsOf(sound)) expect(threadsOf(sick)).not.toContain(thread);
    },
  );

  it('an entry that cannot be loaded is a failure with its reason', async () => {
    const missing = new SessionRunner(new URL('./no-such-entry.ts', import.meta.url).href);
    const outcome = await missing.run(scriptedPlan({}), SHORT, 20_000);
    expect(outcome).toMatchObject({ kind: 'failed', reason: expect.stringContaining('no-such-entry') });
    await missing.close();
  });

  it('survives a worker that runs out of memory', () => {
    const { stdout, stderr } = spawnSync(process.execPath, ['--max-old-space-size=40', support('out-of-memory-session.ts')], {
      encoding: 'utf8',
    });
    expect(stderr).not.toContain('FATAL');
    expect(JSON.parse(stdout)).toMatchObject({
      sick: { kind: 'failed', side: 'host', reason: 'its worker ran out of JavaScript memory' },
      sound: 'done',
    });
  });
});

describe('the entry of a worker', () => {
  const broken = () => scriptedPlan({}, { copier: 'no such copier' });

  it('throws what made a side fail and asks the other one to stop', () => {
    const plan = broken();
    const registers = new DeviceRegisters(new Int32Array(plan.control));
    expect(() => runSide({ role: 'host', plan, window: SHORT })).toThrow(/no such copier/);
    expect(registers.hostAlive).toBe(Alive.failed);
    expect(registers.stopRequested).toBe(true);
  });

  it('leaves the word to the other side when it was told to stop before', () => {
    const plan = broken();
    const registers = new DeviceRegisters(new Int32Array(plan.control));
    registers.requestStop();
    expect(runSide({ role: 'guest', plan, window: SHORT })).toBeNull();
    expect(registers.guestAlive).toBe(Alive.failed);
  });
});

/** Resolves when both sides have begun. */
async function started(plan: ScriptedPlan): Promise<void> {
  const threads = new Int32Array(plan.threads);
  for (const side of [0, 1]) {
    const waiting = Atomics.waitAsync(threads, side, 0, 10_000);
    if (waiting.async) await waiting.value;
  }
}
