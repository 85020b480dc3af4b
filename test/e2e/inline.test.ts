import { describe, expect, it } from 'vitest';
import { COPIES, PATHS, pathUsesBlob } from '../../core/machine/options.ts';
import { bytesPerFrame } from '../../core/machine/plan.ts';
import { DisplaySink } from '../../core/sink/display.ts';
import { InlineMachine } from '../../workers/inline.ts';
import { runInline, smallOptions, summary } from '../support/inline-run.ts';
import { provesZeroCopies, ZeroCopyWitness } from '../support/zero-copy-witness.ts';

const FRAMES = 60;
const BYTES = 640 * 360 * 4;
const sum = (of: Partial<Record<string, number>>): number => Object.values(of).reduce<number>((total, n) => total + (n ?? 0), 0);
/** What each path copies for a frame. */
const STAGES = {
  vfio: [],
  udmabuf: [],
  'readback-blob': ['readback'],
  copy: ['transfer'],
  'readback-copy': ['readback', 'transfer'],
} as const;

describe.each(PATHS)('%s inline', (path) => {
  it.each([
    ['60 Hz', 60],
    ['max', null],
  ] as const)('every frame is shown once, verified and whole, at %s, without an error response', (_, rateHz) => {
    const { result } = runInline({ path, rateHz }, FRAMES);
    expect(result.frames).toBeGreaterThanOrEqual(FRAMES);
    expect(result).toMatchObject({
      presented: result.frames,
      verified: result.frames,
      torn: 0,
      errors: 0,
      timedOut: 0,
      superseded: 0,
      fallbacks: 0,
    });
    expect(result.crcChecked).toBe(Math.floor(result.frames / 10));
  });

  it("painted pixels arrive whole: every frame's CRC is the same when shown and at its last read", () => {
    const { result } = runInline({ path, rateHz: 60, renderer: 'paint', crcEvery: 1 }, 10);
    expect(result).toMatchObject({ crcChecked: result.frames, torn: 0 });
  });

  it('copies exactly what the path says: stage by stage, a frame each, in the ledger', () => {
    const { machine, result } = runInline({ path, rateHz: 60 }, FRAMES);
    expect(Object.keys(result.copies)).toEqual(STAGES[path]);
    for (const stage of STAGES[path]) {
      expect(result.copies[stage]).toBe(result.frames);
      expect(result.bytes[stage]).toBe(result.frames * BYTES);
    }
    expect(sum(result.bytes)).toBe(result.frames * bytesPerFrame(machine.plan.options));
    expect(sum(result.copies)).toBe(result.frames * COPIES[path]);
  });

  it("a witness apart from the ledger agrees: the sink reads the GPU's own memory exactly when nothing is copied", () => {
    const witness = new ZeroCopyWitness();
    const { result } = runInline({ path, rateHz: 60 }, 30, { wrapSink: (sink) => witness.watch(sink) }, (machine) => {
      witness.guest = machine.guest;
    });
    expect(witness.own + witness.copied).toBe(result.presented);
    expect(provesZeroCopies(sum(result.bytes), witness).ok).toBe(COPIES[path] === 0);
    expect(witness.own).toBe(COPIES[path] === 0 ? result.presented : 0);
    expect(result.torn).toBe(0);
  });

  it('a display adds exactly one upload a frame to a host copy and none to an import, which it maps once', () => {
    const { machine, result } = runInline({ path, rateHz: 60, sink: 'display' }, 30);
    const display = machine.host.sink;
    if (!(display instanceof DisplaySink)) throw new Error('no display');
    const imports = pathUsesBlob(path);
    expect(display.uploads).toBe(imports ? 0 : result.presented);
    expect(display.mappings).toBe(imports ? 2 : 0);
    expect(result.copies.upload ?? 0).toBe(imports ? 0 : result.presented);
    expect(sum(result.bytes)).toBe(result.frames * bytesPerFrame(machine.plan.options));
  });

  it('the same seed gives the same run: frame log, counters and ledgers byte for byte', () => {
    const options = { path, rateHz: 60, layout: '4k', seed: 7, listLimit: 8192, migrateEvery: 5, sink: 'verify' } as const;
    const logs = [0, 1].map(() => {
      const { plan } = runInline(options, FRAMES).machine;
      return [plan.frameLog, plan.guestCounters, plan.hostCounters, plan.guestLedger, plan.hostLedger].map((buffer) =>
        Buffer.from(new Uint8Array(buffer)),
      );
    });
    expect(logs[0][0].some((byte) => byte !== 0)).toBe(true);
    for (let i = 0; i < logs[0].length; i++) expect(logs[0][i].equals(logs[1][i])).toBe(true);
  });

  it.each([2, 3])('with %i buffers a head and three heads every frame of each is whole', (buffers) => {
    const { result } = runInline({ path, rateHz: 60, buffers, heads: 3, width: 320, height: 200 }, 90);
    expect(result).toMatchObject({ presented: result.frames, verified: result.frames, torn: 0, errors: 0 });
  });
});

describe('inline machine', () => {
  it('sixteen heads: every head shows every frame, fences in order over all of them', () => {
    for (const path of ['udmabuf', 'copy'] as const) {
      const { machine, result } = runInline({ path, rateHz: 60, heads: 16, width: 160, height: 120, logCapacity: 64 }, 160);
      expect(result).toMatchObject({ presented: result.frames, torn: 0, errors: 0, timedOut: 0 });
      for (let head = 0; head < 16; head++) expect(machine.guest.compositor.committedOf(head)).toBeGreaterThanOrEqual(10);
    }
  });

  it("a layout past udmabuf's list_limit is copied by the host, which says why; frames stay whole", () => {
    const { machine, result } = runInline({ path: 'udmabuf', rateHz: 60, layout: '4k', listLimit: 100 }, 30);
    expect(machine.host.device.fallbacks[0].reason).toBe('udmabuf list_limit 100 < 225 entries');
    expect(result).toMatchObject({ torn: 0, errors: 0, fallbacks: 2, bytes: { fallback: result.frames * BYTES } });
  });

  it('a sink that never releases: 50 ms a flip, counted, the buffers set aside, and the guest comes down cleanly', () => {
    const options = smallOptions({ path: 'udmabuf', scanoutUs: 1e9, buffers: 3 });
    const run = runNever(options);
    // Three buffers, all overdue: nothing is left to draw into, nothing is drawn over what the sink may read.
    expect(run.timedOut).toBe(3);
    expect(run.frames).toBe(3);
    expect(run.torn).toBe(0);
    expect(run.elapsedMs).toBeGreaterThanOrEqual(150);
    expect(run.elapsedMs).toBeLessThan(151);
    expect(run.resourcesLeft).toBe(0);
  });

  it("damage: a single buffer's rectangle is transferred, the first frame and no more is whole", () => {
    const damage = { x: 32, y: 16, width: 64, height: 40 };
    const { result } = runInline({ path: 'copy', rateHz: 60, buffers: 1, damage, sink: 'latch' }, 30);
    expect(result.bytes.transfer).toBe(BYTES + (result.frames - 1) * 64 * 40 * 4);
  });

  it('damage is ignored when framebuffers alternate', () => {
    const damage = { x: 32, y: 16, width: 64, height: 40 };
    const { result } = runInline({ path: 'copy', rateHz: 60, buffers: 2, damage }, 30);
    expect(result.bytes.transfer).toBe(result.frames * BYTES);
    expect(result.torn).toBe(0);
  });

  it("linux-pacing tears and is reported, not failed; waiting for TRANSFER's response does not", () => {
    const torn = runInline({ path: 'copy', linuxPacing: true, scanoutUs: 2000 }, FRAMES).result;
    expect(torn.torn).toBeGreaterThan(0);
    expect(torn.errors).toBe(0);
    expect(runInline({ path: 'copy', scanoutUs: 2000 }, FRAMES).result.torn).toBe(0);
  });
});

function runNever(options: ReturnType<typeof smallOptions>): {
  timedOut: number;
  frames: number;
  torn: number;
  elapsedMs: number;
  resourcesLeft: number;
} {
  const machine = new InlineMachine(options);
  machine.clock.read();
  const start = machine.clock.slot[0];
  machine.runUntil(() => machine.guest.compositor.committed >= 3);
  machine.clock.read();
  const elapsedMs = (machine.clock.slot[0] - start) / 1e6;
  // 20 more steps: whatever could be drawn would have been.
  for (let i = 0; i < 20; i++) if (!machine.step()) break;
  const { timedOut, frames, torn } = summary(machine.plan, machine.guest.compositor.committed);
  machine.guest.compositor.running = false;
  machine.guest.freeBuffers();
  const resourcesLeft = machine.host.device.resourceCount;
  machine.guest.driver.reset();
  return { timedOut, frames, torn, elapsedMs, resourcesLeft };
}
