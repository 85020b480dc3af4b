import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { planMachine } from '../../core/machine/plan.ts';
import { monotonicNowNs } from '../../core/measure/clock.ts';
import { DeviceRegisters } from '../../core/ring/registers.ts';
import { SessionRunner } from '../../workers/session.ts';
import { FRAMES } from '../support/fault-run.ts';
import { smallOptions } from '../support/inline-run.ts';
import { LONG, SHORT, scriptedPlan } from '../support/scripted-plan.ts';

describe('a worker that ends without an error (hostile-guest "Faults")', () => {
  const sessions = new SessionRunner(new URL('../support/scripted-side.ts', import.meta.url).href);
  afterAll(() => sessions.close());

  it.each(['guest', 'host'] as const)('the %s, unplanned: the session fails with its reason and nothing is replaced', async (side) => {
    const plan = scriptedPlan({ [side]: { act: 'exit', code: 0 } });
    const outcome = await sessions.run(plan, LONG, 20_000);
    expect(outcome).toEqual({ kind: 'failed', side, reason: 'its worker ended without an error (exit code 0)' });
    expect(new DeviceRegisters(new Int32Array(plan.control)).generation).toBe(0);
  });

  it('more often than planned: the session fails', async () => {
    const plan = scriptedPlan({ host: { act: 'exit', code: 3 } }, { faults: [{ name: 'host-exits', frame: 1_000_000 }] });
    expect(await sessions.run(plan, LONG, 20_000)).toMatchObject({ kind: 'failed', side: 'host', reason: /exit code 3/ });
    expect(new DeviceRegisters(new Int32Array(plan.control)).generation).toBe(1);
  });

  it('the session after one with deaths runs as if nothing had been', async () => {
    const own = new SessionRunner();
    const faults = [{ name: 'host-exits', frame: 2 } as const];
    const options = smallOptions({ path: 'udmabuf', width: 64, height: 64, faults });
    expect((await own.run(planMachine(options, monotonicNowNs()), SHORT, 20_000)).kind).toBe('done');
    const outcome = await own.run(planMachine({ ...options, faults: [] }, monotonicNowNs()), SHORT, 20_000);
    expect(outcome.kind).toBe('done');
    await own.close();
  });

  it('a host that runs out of memory is replaced (in a process of its own, which it could take along)', () => {
    const script = join(import.meta.dirname, '../support/out-of-memory-fault.ts');
    const { stdout, stderr } = spawnSync(process.execPath, ['--max-old-space-size=40', script], { encoding: 'utf8' });
    expect(stderr).not.toContain('FATAL');
    const said = JSON.parse(stdout);
    expect(said).toMatchObject({ injected: 1, left: 0, broken: [], counters: { hostRestarts: 1, staleDrivers: 1, reinitialisations: 1 } });
    expect(said.frames).toBeGreaterThanOrEqual(FRAMES);
  });
});
