import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  checkScenario,
  matrix,
  memoryBudget,
  parseDamage,
  parsePath,
  parseRate,
  parseResolution,
  RESOLUTIONS,
  resolutionName,
  ScenarioError,
  scenario,
  scenarioOfId,
  unique,
} from '../../../benchmarks/scenarios.ts';
import { SUITES } from '../../../benchmarks/suites.ts';
import { DEFAULT_FRAME, FAULTS, MAX_FAULTS } from '../../../core/machine/faults.ts';
import { DEFAULT_OPTIONS, type MachineOptions, PATHS, RINGS } from '../../../core/machine/options.ts';
import { planMachine } from '../../../core/machine/plan.ts';
import { PAGE_LAYOUTS } from '../../../core/memory/allocator.ts';

const GIB = 2 ** 30;
const refused = (options: Partial<MachineOptions>, budget = 64 * GIB): string => {
  try {
    checkScenario(scenario(options), budget);
  } catch (error) {
    if (error instanceof ScenarioError) return error.message;
    throw error;
  }
  return '';
};

describe('resolutions', () => {
  it('have names, in any case', () => {
    expect(parseResolution('4k')).toEqual({ width: 3840, height: 2160 });
    expect(parseResolution('4K')).toEqual(parseResolution('4k'));
    expect(parseResolution('1080P')).toEqual({ width: 1920, height: 1080 });
  });

  it('or are WxH, with sides of 32 to 8192 pixels', () => {
    const side = fc.integer({ min: 32, max: 8192 });
    fc.assert(
      fc.property(side, side, (width, height) => {
        expect(parseResolution(`${width}x${height}`)).toEqual({ width, height });
        // The name leads back to the size.
        expect(parseResolution(resolutionName(width, height))).toEqual({ width, height });
      }),
    );
  });

  it.each([
    '',
    'x',
    '5k',
    '1920',
    '1920x',
    'x1080',
    '1920*1080',
    '-1920x1080',
    '1920x1080x2',
    ' 1080p',
    '1e3x1e3',
    '0x10',
    '31x64',
    '64x8193',
    '1920.5x1080',
  ])("refuses '%s'", (text) => expect(() => parseResolution(text)).toThrow(ScenarioError));

  it.each(Object.keys(RESOLUTIONS))('%s is called that in ids', (name) => {
    expect(scenario(parseResolution(name)).id).toBe(`udmabuf-${name}-max`);
  });
});

describe('rates', () => {
  it('are Hz or max', () => {
    expect(parseRate('max')).toBeNull();
    expect(parseRate('60')).toBe(60);
    expect(parseRate('59.94')).toBe(59.94);
    expect(parseRate('144Hz')).toBe(144);
  });

  it.each(['', '0', '0.5', '1001', '-60', '0x10', '1e2', ' 60', '60 ', 'hz', 'NaN', 'Infinity', '60,'])("refuses '%s'", (text) =>
    expect(() => parseRate(text)).toThrow(ScenarioError),
  );
});

it('a path that does not exist is answered with those that do', () => {
  expect(parsePath('vfio')).toBe('vfio');
  expect(() => parsePath('VFIO')).toThrow(`unknown path 'VFIO': use ${PATHS.join(', ')}`);
});

describe('damage', () => {
  it('is written as X11 writes a geometry', () => {
    expect(parseDamage('256x128+64+32')).toEqual({ width: 256, height: 128, x: 64, y: 32 });
  });

  it.each(['', '256x128', '256x128+64', '0x1+0+0', '1x0+0+0', '1x1-1+0', '1x1+0+0+0', '1.5x1+0+0', '100000x1+0+0'])(
    "refuses '%s'",
    (text) => expect(() => parseDamage(text)).toThrow(ScenarioError),
  );

  it('needs one buffer: with two the framebuffer changes, and whole frames are sent', () => {
    const damage = parseDamage('64x64+0+0');
    expect(refused({ damage, buffers: 2 })).toMatch(/needs --buffers 1/);
    expect(refused({ damage, buffers: 1 })).toBe('');
  });

  it('lies within the frame', () => {
    const size = { width: 640, height: 480, buffers: 1 };
    expect(refused({ ...size, damage: parseDamage('640x480+0+0') })).toBe('');
    expect(refused({ ...size, damage: parseDamage('640x480+1+0') })).toMatch(/does not lie within 640x480/);
    expect(refused({ ...size, damage: parseDamage('1x1+0+480') })).toMatch(/does not lie within 640x480/);
  });
});

describe('scenarios', () => {
  it('a paced sink reads for 2 ms, an unpaced one at once, unless told otherwise', () => {
    expect(scenario({ rateHz: 60 }).options.scanoutUs).toBe(2000);
    expect(scenario({ rateHz: null }).options.scanoutUs).toBe(0);
    expect(scenario({ rateHz: 60, scanoutUs: 0 }).options.scanoutUs).toBe(0);
    expect(scenario({ rateHz: null, scanoutUs: 700 }).options.scanoutUs).toBe(700);
  });

  it('the id tells apart whatever it names', () => {
    const ids = (
      [
        {},
        { path: 'copy' },
        { width: 64 },
        { rateHz: 60 },
        { layout: '4k' },
        { buffers: 3 },
        { heads: 2 },
        { sink: 'verify' },
        { renderer: 'paint' },
        { linuxPacing: true },
        { fences: false },
        { migrateEvery: 5 },
        { ring: 'packed' },
        { memory: 'memfd' },
        { inOrder: true },
        { buffers: 1, damage: parseDamage('8x8+0+0') },
      ] satisfies Partial<MachineOptions>[]
    ).map((options) => scenario(options).id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('a matrix has every combination once, those to be compared side by side', () => {
    const scenarios = matrix({
      paths: ['vfio', 'copy'],
      resolutions: [parseResolution('1080p'), parseResolution('4k')],
      rates: [60, null],
    });
    expect(scenarios.map(({ id }) => id)).toEqual([
      'vfio-1080p-60hz',
      'copy-1080p-60hz',
      'vfio-1080p-max',
      'copy-1080p-max',
      'vfio-4k-60hz',
      'copy-4k-60hz',
      'vfio-4k-max',
      'copy-4k-max',
    ]);
  });

  it('what a list names twice is measured once', () => {
    expect(unique(['a', 'b', 'a'], (x) => x)).toEqual(['a', 'b']);
    expect(unique(undefined, String)).toBeUndefined();
  });

  it.each(SUITES.map((suite) => [suite.name, suite] as const))('those of suite %s have ids of their own and fit 24 GiB', (_, suite) => {
    const scenarios = suite.scenarios();
    expect(new Set(scenarios.map(({ id }) => id)).size).toBe(scenarios.length);
    for (const one of scenarios) checkScenario(one, 12 * GIB);
  });
});

describe('impossible sizes', () => {
  it('more than the budget is refused with what is needed', () => {
    expect(refused({ width: 3840, height: 2160 }, 64 * 2 ** 20)).toMatch(
      /^udmabuf-4k-max needs about 10\d MiB and the memory budget is 64 MiB: choose/,
    );
    expect(refused({ width: 3840, height: 2160 }, 256 * 2 ** 20)).toBe('');
  });

  it('16 heads of 8K are refused whatever the budget: no region holds them', () => {
    for (const path of PATHS) expect(refused({ path, width: 7680, height: 4320, heads: 16 })).toMatch(/more than 4096 MiB/);
  });

  it('copies that the host may not keep are refused before the host refuses them', () => {
    const many = { width: 3840, height: 2160, buffers: 3, heads: 11 } as const;
    expect(refused({ ...many, path: 'copy' })).toMatch(/needs 1045 MiB of the host/);
    expect(refused({ ...many, path: 'udmabuf' })).toBe('');
  });

  it('the budget is at most half of the memory there is', () => {
    expect(memoryBudget()).toBeGreaterThan(2 ** 26);
    expect(memoryBudget()).toBeLessThanOrEqual(
      process.constrainedMemory() > 0 ? process.constrainedMemory() / 2 : Number.POSITIVE_INFINITY,
    );
  });

  it('what passes can be planned: no size is refused only after others ran', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...PATHS),
        fc.integer({ min: 32, max: 8192 }),
        fc.integer({ min: 32, max: 8192 }),
        fc.integer({ min: 1, max: 16 }),
        fc.integer({ min: 1, max: 16 }),
        fc.constantFrom(0, 3),
        (path, width, height, buffers, heads, migrateEvery) => {
          const { options } = scenario({ path, width, height, buffers, heads, migrateEvery });
          if (refused(options, 512 * 2 ** 20) === '') planMachine({ ...options, logCapacity: 16 }, 0);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('the defaults are small', () => {
    expect(refused(DEFAULT_OPTIONS, 128 * 2 ** 20)).toBe('');
  });
});

describe('an id', () => {
  const settings = fc.record(
    {
      path: fc.constantFrom(...PATHS),
      rateHz: fc.constantFrom(null, 60, 59.94),
      width: fc.integer({ min: 32, max: 8192 }),
      height: fc.integer({ min: 32, max: 8192 }),
      layout: fc.constantFrom(...PAGE_LAYOUTS),
      buffers: fc.integer({ min: 1, max: 16 }),
      heads: fc.integer({ min: 1, max: 16 }),
      sink: fc.constantFrom('latch' as const, 'verify' as const, 'display' as const),
      renderer: fc.constantFrom('stamp' as const, 'paint' as const),
      scanoutUs: fc.integer({ min: 0, max: 20000 }),
      linuxPacing: fc.boolean(),
      fences: fc.boolean(),
      migrateEvery: fc.integer({ min: 0, max: 3000 }),
      inOrder: fc.boolean(),
      ring: fc.constantFrom(...RINGS),
      handicapPercent: fc.integer({ min: 0, max: 100 }),
      damage: fc.record({ x: fc.nat(99), y: fc.nat(99), width: fc.integer({ min: 1, max: 99 }), height: fc.integer({ min: 1, max: 99 }) }),
      faults: fc.array(
        fc.record({ name: fc.constantFrom(...FAULTS.map(({ name }) => name)), frame: fc.constantFrom(0, DEFAULT_FRAME, 30) }),
        {
          maxLength: MAX_FAULTS,
        },
      ),
    },
    { requiredKeys: ['path', 'width', 'height', 'rateHz'] },
  );

  it('leads back to its scenario', () => {
    fc.assert(
      fc.property(settings, (options) => {
        const one = scenario(options);
        expect(scenarioOfId(one.id)).toEqual(one);
      }),
    );
  });

  it('that does not say all of it, or says what no id does, leads nowhere', () => {
    for (const id of [
      '',
      'udmabuf',
      'udmabuf-4k',
      'memfd-4k-max',
      'udmabuf-4k-max-',
      'udmabuf-4k-max-fast',
      'copy-4k-max-1buf-damage64x64+0+0',
      'udmabuf-4k-max-lost-kick@10',
      `udmabuf-4k-max${'-lost-kick'.repeat(MAX_FAULTS + 1)}`,
      'udmabuf-4k-max-in',
      'udmabuf-4k-max-packed-in-order',
    ])
      expect(scenarioOfId(id), id).toBeNull();
    // Its words are out of order: another run has never written it.
    expect(scenarioOfId('copy-4k-max-3buf-4k')).toBeNull();
    for (const id of [
      'copy-5k-max',
      'copy-constructor-max',
      'copy-__proto__-max',
      'copy-4k-max-0buf',
      'copy-4k-max-17heads',
      `copy-4k-max-migrate${'9'.repeat(400)}`,
      'copy-4k-max-handicap0',
      'copy-4k-max-handicap101',
      'copy-4k-max-1buf-damage64x64+16',
    ])
      expect(() => scenarioOfId(id), id).toThrow(ScenarioError);
  });

  it('names a rectangle by its corner and a fault by its frame, where they are not as usual', () => {
    const options = { path: 'copy', width: 3840, height: 2160, rateHz: null, buffers: 1 } as const;
    const square = { width: 64, height: 64 };
    expect(scenario({ ...options, damage: { x: 0, y: 0, ...square } }).id).toBe('copy-4k-max-1buf-damage64x64');
    expect(scenario({ ...options, damage: { x: 16, y: 32, ...square } }).id).toBe('copy-4k-max-1buf-damage64x64+16+32');
    const faults = [
      { name: 'lost-kick', frame: 30 },
      { name: 'slow-sink', frame: DEFAULT_FRAME },
    ] as const;
    expect(scenario({ ...options, faults }).id).toBe('copy-4k-max-1buf-lost-kick@30-slow-sink');
  });

  it('of each suite is the id of one scenario in it', () => {
    for (const { name, scenarios } of SUITES) {
      const ids = scenarios().map(({ id }) => id);
      expect(new Set(ids).size, name).toBe(ids.length);
      // What an id does not name, as a list limit, a suite may set.
      for (const { id, options, recorded } of scenarios()) {
        // Named after its recording.
        if (recorded !== undefined) continue;
        const { damage, heads, layout, buffers, faults, migrateEvery, ring, inOrder } = options;
        expect(scenarioOfId(id)?.options, id).toMatchObject({ damage, heads, layout, buffers, faults, migrateEvery, ring, inOrder });
      }
    }
  });
});
