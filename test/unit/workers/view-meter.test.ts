import { expect, test } from 'vitest';
import { DEFAULT_OPTIONS } from '../../../core/machine/options.ts';
import { planMachine, SessionWord } from '../../../core/machine/plan.ts';
import { Counter, Counters } from '../../../core/measure/counters.ts';
import { FrameColumn, FrameLog } from '../../../core/measure/frame-log.ts';
import { CopyStage, Ledger } from '../../../core/memory/ledger.ts';
import { EncodeColumn, EncodeLog } from '../../../workers/encode/encode-log.ts';
import { shareFor } from '../../../workers/encode/link.ts';
import { ViewMeter } from '../../../workers/view/meter.ts';

const S = 1e9;
const MS = 1e6;

function open() {
  const plan = planMachine({ ...DEFAULT_OPTIONS, width: 64, height: 64, logCapacity: 256 }, 0);
  const at = { nowNs: 10 * S };
  const cpuNs = new Map<number, number>();
  const meter = new ViewMeter(
    plan,
    () => at.nowNs,
    (task) => cpuNs.get(task) ?? null,
  );
  const log = new FrameLog(plan.frameLog, 1, 256);
  const frame = (number: number, submitNs: number, latencyMs: number): void => {
    const row = log.begin(0, number);
    log.cells[row + FrameColumn.renderStart] = submitNs - 3 * MS;
    log.cells[row + FrameColumn.renderEnd] = submitNs - 1 * MS;
    log.cells[row + FrameColumn.submit] = submitNs;
    log.cells[row + FrameColumn.pickup] = submitNs + 0.5 * MS;
    log.cells[row + FrameColumn.present] = submitNs + latencyMs * MS;
    log.cells[row + FrameColumn.fenceSeen] = submitNs + latencyMs * MS + MS;
  };
  return { plan, meter, at, cpuNs, log, frame };
}

test('before anything has happened there is nothing: rates of 0, no latency, no processor time', () => {
  const { meter, at } = open();
  at.nowNs += S / 4;
  expect(meter.figures()).toMatchObject({ guestFps: 0, copied: 0, p50: null, p99: null, cpu: { guest: null, host: null, encoder: 0 } });
});

test('rates are of what was counted since the figures before, by the time between', () => {
  const { plan, meter, at } = open();
  const guest = new Counters(plan.guestCounters);
  const host = new Counters(plan.hostCounters);
  guest.add(Counter.flushes, 30);
  host.add(Counter.framesPresented, 28);
  host.add(Counter.framesImported, 7);
  at.nowNs += S / 2;
  expect(meter.figures()).toMatchObject({ guestFps: 60, presentedFps: 56, imported: 14 });
  guest.add(Counter.flushes, 10);
  at.nowNs += S / 4;
  expect(meter.figures()).toMatchObject({ guestFps: 40, presentedFps: 0, imported: 0 });
});

test('what is copied before the encoder is what all three threads charged, without moves, cursors and the encoder itself', () => {
  const { plan, meter, at } = open();
  const share = shareFor(1);
  meter.encoder = share;
  new Ledger(plan.guestLedger).charge(CopyStage.readback, 100);
  new Ledger(plan.guestLedger).charge(CopyStage.migrate, 1000);
  new Ledger(plan.hostLedger).charge(CopyStage.transfer, 20);
  new Ledger(plan.hostLedger).charge(CopyStage.fallback, 3);
  new Ledger(plan.hostLedger).charge(CopyStage.cursor, 50_000);
  new Ledger(share.ledger).charge(CopyStage.gather, 4);
  new Ledger(share.ledger).charge(CopyStage.encoder, 7000);
  at.nowNs += S;
  const figures = meter.figures();
  expect(figures.copied).toBe(127);
  expect(figures.by).toEqual({ readback: 100, transfer: 20, fallback: 3, upload: 0, migrate: 1000, gather: 4, encoder: 7000 });
  at.nowNs += S;
  expect(meter.figures().copied).toBe(0);
});

test('latencies are those of frames shown in the last two seconds; what was never shown or begins anew has none', () => {
  const { meter, at, log, frame } = open();
  frame(0, at.nowNs - 5 * S, 900);
  for (let i = 1; i <= 100; i++) frame(i, at.nowNs - S + i * MS, i);
  log.begin(0, 101);
  // A row of which half is of the next frame.
  frame(102, at.nowNs - 0.5 * S, 1);
  log.cells[log.row(0, 102) + FrameColumn.submit] = at.nowNs;
  const { p50, p99, stages } = meter.figures();
  expect(p50).toBeCloseTo(51);
  expect(p99).toBeCloseTo(100);
  expect(stages.draw).toBeCloseTo(2);
  expect(stages.pickup).toBeCloseTo(0.5);
  expect(stages.answer).toBeCloseTo(52);
});

test("of another program's guest the figures are what its host sees, and what nobody tells the host is not said", () => {
  const { plan, at, log } = open();
  const host = new Counters(plan.hostCounters);
  let cpuNs: number | null = null;
  const meter = new ViewMeter(
    plan,
    () => at.nowNs,
    () => null,
    { cpuNs: () => cpuNs },
  );
  const frame = (number: number, pickupNs: number): void => {
    const row = log.row(0, number);
    log.cells[row + FrameColumn.pickup] = pickupNs;
    log.cells[row + FrameColumn.present] = pickupNs + 2 * MS;
    log.cells[row + FrameColumn.release] = pickupNs + 5 * MS;
  };
  host.add(Counter.flushes, 30);
  host.add(Counter.framesImported, 20);
  host.add(Counter.framesImportedFromDevice, 5);
  host.add(Counter.importFallbacks, 3);
  frame(0, at.nowNs);
  // Superseded: never shown.
  frame(1, at.nowNs);
  log.cells[log.row(0, 1) + FrameColumn.present] = 0;
  at.nowNs += S / 2;
  expect(meter.figures()).toMatchObject({
    guestFps: 60,
    imported: 40,
    importedDevice: 10,
    importsRefused: 3,
    p50: expect.closeTo(2),
    stages: { draw: null, pickup: null, answer: expect.closeTo(5) },
    cpu: { guest: null },
    moves: null,
  });
  // The next guest: what was before is not its.
  cpuNs = S;
  meter.restart();
  at.nowNs += S;
  cpuNs = 2.5 * S;
  host.add(Counter.importFallbacks, 1);
  expect(meter.figures()).toMatchObject({ guestFps: 0, importsRefused: 1, p50: null, p99: null, cpu: { guest: 1.5 } });
});

test("processor time is a part of one processor's, of the threads that the sides name", () => {
  const { plan, meter, at, cpuNs } = open();
  const words = new Int32Array(plan.control);
  Atomics.store(words, SessionWord.guestTask, 71);
  cpuNs.set(71, 2 * S);
  at.nowNs += S;
  // It was not known before: nothing can be said yet.
  expect(meter.figures().cpu).toEqual({ guest: null, host: null, encoder: 0 });
  cpuNs.set(71, 2.5 * S);
  at.nowNs += S;
  expect(meter.figures().cpu).toEqual({ guest: 0.5, host: null, encoder: 0 });
});

test('what encoding takes is the mean of the frames since, even where the log has come round', () => {
  const { meter, at } = open();
  const share = shareFor(1);
  meter.encoder = share;
  const log = new EncodeLog(share.log);
  const encoded = (ms: number): void => {
    log.cells[log.next + EncodeColumn.gatherNs] = 1 * MS;
    log.cells[log.next + EncodeColumn.convertNs] = 2 * MS;
    log.cells[log.next + EncodeColumn.encodeNs] = (ms - 3) * MS;
    log.added();
  };
  encoded(5);
  encoded(7);
  at.nowNs += S / 4;
  let figures = meter.figures();
  expect(figures.encodedFps).toBe(8);
  expect(figures.stages.encode).toBeCloseTo(6);
  expect(figures.cpu.encoder).toBeCloseTo(0.048);
  for (let i = 0; i < log.capacity + 5; i++) encoded(4);
  at.nowNs += 100 * S;
  figures = meter.figures();
  expect(figures.encodedFps).toBeCloseTo((log.capacity + 5) / 100);
  expect(figures.stages.encode).toBeCloseTo((4 * log.capacity) / (log.capacity + 5));
});
