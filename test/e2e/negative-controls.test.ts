import { describe, expect, it } from 'vitest';
import { checkRun } from '../../benchmarks/checks.ts';
import { measureRepetition } from '../../benchmarks/metrics.ts';
import { SUITES } from '../../benchmarks/suites.ts';
import { COPIES, type MachineOptions, PATHS } from '../../core/machine/options.ts';
import type { MakeCopier } from '../../core/machine/parts.ts';
import { Counter } from '../../core/measure/counters.ts';
import { Copier, copyKernelNamed } from '../../core/memory/copier.ts';
import { Ledger } from '../../core/memory/ledger.ts';
import type { Check, Limits } from '../../reports/run-document.ts';
import type { InlineMachine } from '../../workers/inline.ts';
import type { GuestReport, HostReport } from '../../workers/task.ts';
import { type RunSummary, runInline } from '../support/inline-run.ts';
import { provesZeroCopies, ZeroCopyWitness } from '../support/zero-copy-witness.ts';

const NO_LIMITS: Limits = {
  memcpyGBps: null,
  jsCopyGBps: null,
  jsCopyToMemcpyRatio: null,
  pingPongNs: null,
  jsPingPongNs: null,
  wakeUpUs: null,
  copyKernels: [],
  unavailable: {},
};

/** A double that copies as well as the real one and charges a ledger that nobody reads. */
const bypassLedger: MakeCopier = (options) => new Copier(copyKernelNamed(options.copier), new Ledger());
const sum = (of: Partial<Record<string, number>>): number => Object.values(of).reduce<number>((total, n) => total + (n ?? 0), 0);

interface Witnessed {
  machine: InlineMachine;
  result: RunSummary;
  witness: ZeroCopyWitness;
}

function witnessed(options: Partial<MachineOptions>, makeCopier?: MakeCopier): Witnessed {
  const witness = new ZeroCopyWitness();
  const parts = { wrapSink: witness.watch.bind(witness), ...(makeCopier === undefined ? {} : { makeCopier }) };
  const run = runInline({ rateHz: 60, ...options }, 30, parts, (machine) => {
    witness.guest = machine.guest;
  });
  return { ...run, witness };
}

/** What the benchmark's own check says of an inline run. */
function copiesCheck({ machine, result }: Witnessed): Check {
  const { plan, host } = machine;
  const usage = [{ cpuUs: 1, runQueueWaitNs: 0, collections: 0, heapBytes: 0 }];
  const side = { usage, vblankLate: 0, spinNs: 0, sleepNs: 0 };
  const guest: GuestReport = {
    ...side,
    role: 'guest',
    firstFrame: [0],
    endFrame: [result.frames],
    totalFrames: [result.frames],
    startNs: 0,
    endNs: 1e9,
    frames: result.frames,
    failedFrames: 0,
    segments: 1,
    heldAfterFree: 0,
    gpuBuffersAfterFree: 0,
  };
  const report: HostReport = {
    ...side,
    role: 'host',
    fallbacks: [...host.device.fallbacks],
    budgetAfterReset: 0,
    resourcesAfterReset: 0,
    segmentsAfterReset: 0,
    needsReset: false,
  };
  const repetition = measureRepetition(plan, guest, report, 'timed', new Date(0));
  const scenario = { id: plan.options.path, options: plan.options };
  const entry = { scenario, timed: [repetition], verified: [], samples: repetition.samples, failures: [] };
  const timing = SUITES[0].timing;
  const check = checkRun([entry], { ...timing, undisturbedFrames: 0 }, [], NO_LIMITS).find(({ name }) => name.includes('bytes a frame'));
  if (check === undefined) throw new Error('there is no check of the copies');
  return check;
}

describe('fences switched off', () => {
  // A frame is drawn as soon as its buffer is free, but read back only at its tick: the buffer is written half a period later.
  const CASES = [
    ['vfio', 17_000],
    ['udmabuf', 17_000],
    ['readback-blob', 30_000],
  ] as const;

  it.each(CASES)('%s: verify finds torn frames when the sink reads for longer than a period (%i us)', (path, scanoutUs) => {
    const { result } = runInline({ path, scanoutUs, rateHz: 60, fences: false }, 60);
    expect(result.verified).toBeGreaterThan(0);
    expect(result.torn).toBeGreaterThan(result.verified / 2);
  });

  it.each(CASES)('%s: none with them on, all else the same', (path, scanoutUs) => {
    const { result } = runInline({ path, scanoutUs, rateHz: 60 }, 60);
    expect(result.verified).toBe(result.frames);
    expect(result.torn).toBe(0);
  });

  it('painted pixels tear as well, and a CRC of them all finds it', () => {
    const { result } = runInline({ path: 'udmabuf', rateHz: 60, scanoutUs: 17_000, renderer: 'paint', crcEvery: 1, fences: false }, 20);
    expect(result.torn).toBeGreaterThan(0);
  });
});

describe('ledger bypassed', () => {
  it.each(PATHS)("%s: the benchmark's check passes with the real copier", (path) => {
    expect(copiesCheck(witnessed({ path }))).toMatchObject({ status: 'pass' });
  });

  it.each(PATHS.filter((path) => COPIES[path] > 0))(
    "%s: claims no copy, and both the benchmark's check and the witness refuse it",
    (path) => {
      const run = witnessed({ path }, bypassLedger);
      expect(sum(run.result.bytes)).toBe(0);
      expect(run.result.torn).toBe(0);
      expect(copiesCheck(run)).toMatchObject({ status: 'fail', detail: 'one repetition copied 0 bytes a frame' });
      expect(provesZeroCopies(0, run.witness).ok).toBe(false);
      expect(run.witness.copied).toBe(run.result.presented);
    },
  );

  it('an import that the host quietly copies: the ledger says 0, the witness does not believe it, the benchmark draws no conclusion', () => {
    const run = witnessed({ path: 'udmabuf', layout: '4k', listLimit: 10 }, bypassLedger);
    expect(sum(run.result.bytes)).toBe(0);
    expect(provesZeroCopies(0, run.witness)).toMatchObject({
      ok: false,
      why: `${run.result.presented} frames came from other memory than the GPU drew into`,
    });
    expect(copiesCheck(run).status).toBe('inconclusive');
  });

  it('a witness that has seen nothing proves nothing', () => {
    expect(provesZeroCopies(0, new ZeroCopyWitness()).ok).toBe(false);
  });
});

describe('profile qemu-10.2 shows its bugs, series does not (virtio-gpu §3)', () => {
  const tooMany = { path: 'udmabuf', layout: '4k', listLimit: 10, policy: 'error', rateHz: 60 } as const;

  it('a failed udmabuf is silent: CREATE_BLOB answers OK, what shows it later is UNSPEC', () => {
    const qemu = runLogged({ ...tooMany, profile: 'qemu-10.2' });
    expect(qemu.createErrors).toBe(0);
    expect(qemu.result.presented).toBe(0);
    expect(qemu.result.errors).toBeGreaterThan(0);
    const series = runLogged({ ...tooMany, profile: 'series' });
    expect(series.createErrors).toBe(2);
  });

  it('series with its default policy shows every frame all the same', () => {
    const { result } = runInline({ ...tooMany, policy: 'copy' }, 20);
    expect(result).toMatchObject({ presented: result.frames, torn: 0, errors: 0, fallbacks: 2 });
  });

  it('after a move qemu-10.2 shows the old pages: DETACH leaves the pointer, ATTACH rebuilds only the list', () => {
    const moving = { path: 'udmabuf', rateHz: 60, migrateEvery: 5 } as const;
    const qemu = runInline({ ...moving, profile: 'qemu-10.2' }, 40).result;
    expect(qemu.moves).toBeGreaterThan(0);
    expect(qemu.torn).toBeGreaterThan(0);
    const series = runInline(moving, 40).result;
    expect(series.moves).toBe(qemu.moves);
    expect(series).toMatchObject({ torn: 0, errors: 0, presented: series.frames });
  });
});

/** Errors answered before the first frame is drawn are CREATE_BLOB's: nothing else is sent until then. */
function runLogged(options: Partial<MachineOptions>): { result: RunSummary; createErrors: number } {
  let createErrors = -1;
  const { result } = runInline(options, 20, {}, (machine) => {
    while (machine.guest.driver.commands.inFlight > 0) {
      machine.host.device.poll();
      machine.guest.driver.poll();
    }
    createErrors = machine.host.counters.get(Counter.errorResponses);
  });
  return { result, createErrors };
}
