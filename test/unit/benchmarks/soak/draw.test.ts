import { describe, expect, it, test } from 'vitest';
import { checkScenario } from '../../../../benchmarks/scenarios.ts';
import { drawEvent, drawMachine, EVENT_KINDS, roundRandom } from '../../../../benchmarks/soak/draw.ts';
import { differences } from '../../../../benchmarks/soak/round.ts';
import { progressText } from '../../../../benchmarks/soak/table.ts';
import { PATHS } from '../../../../core/machine/options.ts';

describe('what a soak draws', () => {
  it('the same seed draws the same machines and changes; another seed draws others', () => {
    const draw = (seed: number): unknown[] =>
      Array.from({ length: 12 }, (_, round) => {
        const random = roundRandom(seed, round);
        const options = drawMachine(random, round);
        return [options, Array.from({ length: 5 }, () => drawEvent(random, options, new Array<boolean>(options.heads).fill(true)))];
      });
    expect(draw(3)).toEqual(draw(3));
    expect(draw(3)).not.toEqual(draw(4));
  });

  it('every machine can be run in 1 GiB, and every path has its turn', () => {
    const paths = new Set<string>();
    for (let round = 0; round < 300; round++) {
      const options = drawMachine(roundRandom(77, round), round);
      paths.add(options.path);
      checkScenario({ id: `round ${round}`, options }, 2 ** 30);
    }
    expect([...paths].sort()).toEqual([...PATHS].sort());
  });

  it('every kind of change is drawn, sizes within the machine, and the last display never goes', () => {
    const random = roundRandom(1, 0);
    const options = { ...drawMachine(random, 0), heads: 2 };
    const seen = new Set<string>();
    const on = [true, true];
    for (let i = 0; i < 500; i++) {
      const event = drawEvent(random, options, on);
      seen.add(event.kind);
      if (event.kind === 'unplug') on[event.head] = false;
      if (event.kind === 'plug') on[event.head] = true;
      if ('width' in event) {
        expect(event.width).toBeLessThanOrEqual(options.width);
        expect(event.height).toBeLessThanOrEqual(options.height);
      }
      expect(on).toContain(true);
    }
    expect([...seen].sort()).toEqual([...EVENT_KINDS].sort());
  });
});

describe('a settled machine against its displays', () => {
  const options = { ...drawMachine(roundRandom(1, 0), 0), path: 'vfio' as const, buffers: 2 };
  const gauges = {
    settled: true,
    buffers: 2,
    heldBytes: 1,
    gpuBuffers: 2,
    resources: 2,
    budgetBytes: 0,
    segments: 2,
    heads: [
      { width: 640, height: 480, committed: 1 },
      { width: 0, height: 0, committed: 0 },
    ],
  };
  const displays = [{ width: 640, height: 480 }, null];

  it('what agrees is no difference; a size, a buffer, a resource too many are', () => {
    expect(differences(options, displays, gauges)).toEqual([]);
    expect(differences(options, [{ width: 640, height: 400 }, null], gauges)).toEqual(['head 0 is 640x480, its display 640x400']);
    expect(differences(options, displays, { ...gauges, resources: 3 })).toEqual(['the host has 3 resources, the guest 2 buffers']);
    expect(differences(options, displays, { ...gauges, gpuBuffers: 4 })).toEqual(["the guest's GPU has 4 buffers, not 2"]);
    expect(differences(options, displays, { ...gauges, buffers: 4 })).toEqual(['the guest has 4 buffers, not 2']);
  });
});

test("an hour's line of progress fits a terminal", () => {
  const events = { resize: 9500, unplug: 700, plug: 700, layout: 8000 };
  const line = `[3599/3600] ${progressText({ elapsed: 3599, frames: 12_345_678, torn: 0, events, moves: 123_456, rssBytes: 512 * 2 ** 20 })}`;
  expect(line).toBe('[3599/3600] 12M frames, 0 torn, 512 MiB, size 9500 plug 1400 new 8000 move 123k');
  expect(line.length).toBeLessThanOrEqual(79);
});
