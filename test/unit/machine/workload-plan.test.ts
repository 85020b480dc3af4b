import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { expectedWork, importable, type Workload, workloadPath, workloadRate } from '../../../core/machine/workload.ts';
import { planWorkload } from '../../../core/machine/workload-plan.ts';
import { decodeRequest } from '../../../core/protocol/request.ts';
import { parseTrace, TraceError } from '../../../core/trace/trace.ts';
import { copying, flipping, HEIGHT, RecordedGuest, WIDTH } from '../../support/recorded-guest.ts';

const fixture = (name: string): Workload =>
  planWorkload(parseTrace(readFileSync(join(import.meta.dirname, '../../fixtures/traces', name), 'utf8')));

const LIMITS = { listLimit: 8192, sizeLimitMb: 64 };
const FRAME = WIDTH * HEIGHT * 4;
const dueUs = ({ steps }: Workload): number[] => steps.map((step) => step.dueNs / 1000);
const names = (chains: Workload['steps'] | Workload['setUp']): string[] =>
  chains.map(({ request }) => {
    const decoded = decodeRequest(request);
    return 'error' in decoded ? decoded.error : `${decoded.name}${'resource' in decoded ? ` ${decoded.resource}` : ''}`;
  });
const refusal = (guest: RecordedGuest): string => {
  try {
    planWorkload(guest.trace);
  } catch (error) {
    if (error instanceof TraceError) return error.message;
    throw error;
  }
  return '';
};

describe('what is repeated', () => {
  it('is the stretch with the most frames that ends with the buffer shown that it began with', () => {
    // Before the first of seven flips the console is shown: from the second on, each cycle begins where it ended.
    const workload = planWorkload(flipping(7, 16_667).trace);
    expect(workload.frames).toHaveLength(6);
    expect(names(workload.steps).slice(0, 4)).toEqual(['SET_SCANOUT_BLOB 4', 'RESOURCE_FLUSH 4', 'SET_SCANOUT_BLOB 3', 'RESOURCE_FLUSH 3']);
    expect(names(workload.steps).at(-1)).toBe('RESOURCE_FLUSH 3');
  });

  it('contains no command that makes, destroys, backs or unbacks a resource, and no change of memory', () => {
    const guest = flipping(5, 16_667);
    guest.at(900_000).send('RESOURCE_DETACH_BACKING', { resource: 3 }, true);
    for (let i = 0; i < 3; i++) guest.flip(1_000_000 + i * 16_667, 4);
    expect(planWorkload(guest.trace).frames).toHaveLength(4);
    guest.records.push({ kind: 'regions', regions: [{ gpa: 0, size: 2 ** 23, kind: 'ram' }] });
    for (let i = 0; i < 4; i++) guest.flip(2_000_000 + i * 16_667, 4);
    expect(planWorkload(guest.trace).frames).toHaveLength(4);
    guest.flip(3_000_000, 4);
    expect(planWorkload(guest.trace)).toMatchObject({ frames: { length: 5 }, regions: [{ size: 2 ** 23 }] });
  });

  it('begins with what made its resources, and the scanout as it was; the console is left out', () => {
    const { setUp } = planWorkload(flipping(7, 16_667).trace);
    expect(names(setUp)).toEqual(['RESOURCE_CREATE_BLOB 3', 'RESOURCE_CREATE_BLOB 4', 'SET_SCANOUT_BLOB 3']);
  });

  it('is refused where no two frames can be repeated, by what to do', () => {
    expect(refusal(flipping(1, 16_667))).toMatch(/no two frames in it that could be repeated; record a guest that flips/);
    expect(refusal(new RecordedGuest())).toMatch(/no two frames/);
    expect(refusal(flipping(2, 16_667))).toMatch(/no two frames/);
    expect(refusal(flipping(3, 16_667))).toBe('');
  });

  it('is found in a guest that makes thousands of resources between its frames', () => {
    const guest = new RecordedGuest();
    for (let id = 10; id < 4000; id++) guest.createBlob(id, 0x40000).flip(id * 16_667, id);
    for (let i = 0; i < 4; i++) guest.flip((4000 + i) * 16_667, 10);
    expect(names(planWorkload(guest.trace).setUp)).toEqual(['RESOURCE_CREATE_BLOB 10', 'SET_SCANOUT_BLOB 10']);
  });

  it('is refused with the line where a shown buffer lies outside memory', () => {
    const guest = new RecordedGuest(true, [{ gpa: 0, size: 0x40000, kind: 'ram' }]).createBlob(3, 0x40000);
    for (let i = 0; i < 4; i++) guest.flip(i * 16_667, 3);
    expect(refusal(guest)).toMatch(/^trace line \d+: resource 3 has no backing, or one outside the guest's memory/);
  });
});

describe('its timing', () => {
  it('is the recorded one; the commands of one flip go together at the time of the first', () => {
    const workload = planWorkload(flipping(5, 20_000).trace);
    expect(dueUs(workload)).toEqual([0, 0, 20_000, 20_000, 40_000, 40_000, 60_000, 60_000]);
    expect(dueUs(planWorkload(copying(5, 20_000).trace)).slice(0, 6)).toEqual([0, 0, 0, 20_000, 20_000, 20_000]);
  });

  it('keeps what is no part of a flip at its own time, and the order of all', () => {
    const guest = flipping(3, 20_000);
    const cursor = { scanout: 0, x: 1, y: 1, resource: 0, hotX: 0, hotY: 0 };
    guest.at(445_000).send('MOVE_CURSOR', cursor, false, 1);
    guest.flip(460_000, 4).flip(480_000, 3);
    const workload = planWorkload(guest.trace);
    expect(dueUs(workload)).toEqual([0, 0, 20_000, 20_000, 25_000, 40_000, 40_000, 60_000, 60_000]);
    expect(workload.steps[4]).toMatchObject({ queue: 1, frame: -1 });
  });

  it('goes round after the median interval', () => {
    const guest = new RecordedGuest().createBlob(3, 0x40000);
    // After the first: intervals of 5, 10, 10 and 35 ms.
    for (const t of [0, 5, 10, 20, 30, 65]) guest.flip(1000 * t, 3);
    const workload = planWorkload(guest.trace);
    expect(workload.frames).toHaveLength(5);
    expect(workload.cycleNs).toBe(70e6);
    expect(workloadRate(workload)).toBeCloseTo(5 / 0.07, 6);
  });
});

describe('what a host does with it', () => {
  it('follows from where buffers lie and how many entries they have', () => {
    const blob = planWorkload(flipping(5, 16_667).trace);
    expect(workloadPath(blob)).toBe('udmabuf');
    expect(workloadPath(planWorkload(copying(5, 16_667).trace))).toBe('copy');
    const bar = new RecordedGuest(true, [{ gpa: 0, size: 2 ** 22, kind: 'device' }]).createBlob(3, 0x40000);
    for (let i = 0; i < 4; i++) bar.flip(i * 16_667, 3);
    expect(workloadPath(planWorkload(bar.trace))).toBe('vfio');
    const [{ entries }] = blob.buffers;
    expect(importable(blob.buffers[0], { listLimit: entries.length, sizeLimitMb: 64 })).toBe(true);
    expect(importable(blob.buffers[0], { listLimit: entries.length - 1, sizeLimitMb: 64 })).toBe(false);
    expect(importable(blob.buffers[0], { listLimit: entries.length, sizeLimitMb: 0 })).toBe(false);
  });

  it('is counted frame by frame, through cycles', () => {
    const blob = planWorkload(flipping(5, 16_667).trace);
    expect(expectedWork(blob, LIMITS, 7)).toEqual({ bytes: 0, imported: 7 });
    expect(expectedWork(blob, { ...LIMITS, listLimit: 1 }, 7)).toEqual({ bytes: 7 * FRAME, imported: 0 });
    expect(expectedWork(planWorkload(copying(5, 16_667).trace), LIMITS, 7)).toEqual({ bytes: 7 * FRAME, imported: 0 });
    // One of its two buffers has 2022 entries, the other 637.
    const mixed = fixture('linux-7.2-import-1080p.jsonl');
    expect(expectedWork(mixed, { ...LIMITS, listLimit: 1024 }, 122)).toEqual({ bytes: 61 * 1920 * 1080 * 4, imported: 61 });
  });

  it('cannot be looked through for torn frames where a part of a 2D resource is transferred', () => {
    expect(planWorkload(copying(5, 16_667).trace).stamped).toBe(true);
    const guest = new RecordedGuest(false).create2d(3, 0x40000).show2d(3);
    for (let i = 0; i < 4; i++)
      guest
        .at(i * 16_667)
        .transfer(3, HEIGHT / 2)
        .flush(3, false);
    const workload = planWorkload(guest.trace);
    expect(workload.stamped).toBe(false);
    expect(expectedWork(workload, LIMITS, 4).bytes).toBe(2 * FRAME);
  });

  it('cannot where two buffers share pages', () => {
    const guest = new RecordedGuest().createBlob(3, 0x40000).createBlob(4, 0x41000 - 0x1000);
    for (let i = 0; i < 5; i++) guest.flip(i * 16_667, 3 + (i % 2));
    expect(planWorkload(guest.trace).stamped).toBe(false);
  });
});

describe('recorded guests', () => {
  it.each([
    ['linux-7.2-import-1080p.jsonl', 'udmabuf', 120, [637, 2022]],
    ['linux-7.2-import-4k.jsonl', 'udmabuf', 60, [2, 2656]],
    ['linux-7.2-dumb-copy-1080p.jsonl', 'copy', 120, [1, 45]],
    ['linux-7.2-vfio-bar-1080p.jsonl', 'vfio', 60, [1, 1]],
  ] as const)('%s: %s, the %d flips of its buffers at 60 Hz', (name, path, frames, entries) => {
    const workload = fixture(name);
    expect(workloadPath(workload)).toBe(path);
    expect(workload.frames).toHaveLength(frames);
    expect(workload.buffers.map((buffer) => buffer.entries.length).sort((a, b) => a - b)).toEqual(entries);
    expect(Math.abs(workloadRate(workload) - 60)).toBeLessThan(1.5);
    expect(workload).toMatchObject({ stamped: true, countable: true });
  });
});
