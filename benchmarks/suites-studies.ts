import { type MachineOptions, RINGS } from '../core/machine/options.ts';
import { compact, duration } from '../reports/format.ts';
import { importMedianUs } from '../reports/imports.ts';
import type { StudyPoint, StudySeries } from '../reports/run-document.ts';
import { matrix, parseResolution, resolutionName, type Scenario, scenario } from './scenarios.ts';
import { crossing, type Studied, type StudyPlan, seriesAlong, valuesOf, workUs } from './study.ts';
import type { Suite } from './suites.ts';
import { DEFAULT, QUICK, type Timing } from './timing.ts';

const hd = parseResolution('1080p');
const uhd = parseResolution('4k');
/** One size beside the other: more of them need more of the machine's memory, not more of its time. */
const SHORT: Timing = { ...QUICK, maxSeconds: 60 };
const PERIOD_US = 1e6 / 60;
const LAYOUTS = ['contiguous', '2m', '64k', '4k'] as const;

function suite(name: string, time: string, timing: Timing, scenarios: () => Scenario[], study: StudyPlan): Suite {
  return { name, summary: `${study.question} (${time})`, scenarios, timing, study };
}

const sizeOf = ({ width, height }: MachineOptions): string => resolutionName(width, height);
const workOf = ({ record }: Studied): number | null => workUs(record);
const times = (ratio: number): string => `${compact(ratio)} times`;

/** `vfio at 4k: 1.1 times the work on 4k pages as on contiguous ones`: the last point over the first. */
function growth(series: readonly StudySeries[], words: (of: StudySeries, ratio: string, first: string, last: string) => string): string[] {
  return series.flatMap((of) => {
    const values = valuesOf(of);
    const first = values[0];
    const last = values.at(-1);
    if (first === undefined || last === undefined || first === last || first.value <= 0) return [];
    return [words(of, times(last.value / first.value), first.label, last.label)];
  });
}

const fragmentation = suite(
  'fragmentation',
  '20 s',
  SHORT,
  () =>
    matrix({
      paths: ['vfio', 'udmabuf', 'copy'],
      resolutions: [hd, uhd],
      rates: [null],
      layouts: LAYOUTS,
      base: { listLimit: 16384 },
    }),
  {
    question: 'what do scattered pages cost, importing and copying?',
    axis: 'how the pages of a buffer lie',
    measure: 'guest and host work a frame, median',
    unit: 'µs',
    series: (scenarios) =>
      seriesAlong(scenarios, {
        name: (options) => `${options.path} ${sizeOf(options)}`,
        at: ({ layout }) => ({ at: LAYOUTS.indexOf(layout), label: layout }),
        value: workOf,
      }),
    answers: (series) => growth(series, ({ name }, ratio, first, last) => `${name}: on ${last} pages ${ratio} the work of ${first} ones.`),
  },
);

/** Sides of a damaged square, pixels. */
const DAMAGED = [32, 64, 128, 256, 512, 1024, 2048] as const;
const DAMAGE_BASE = { ...uhd, buffers: 1, rateHz: null } as const;

const damage = suite(
  'damage',
  '12 s',
  SHORT,
  () => [
    scenario({ ...DAMAGE_BASE, path: 'udmabuf' }),
    ...DAMAGED.map((side) => scenario({ ...DAMAGE_BASE, path: 'copy', damage: { x: 0, y: 0, width: side, height: side } })),
    scenario({ ...DAMAGE_BASE, path: 'copy' }),
  ],
  {
    question: 'which damage is cheaper to copy than a frame to import?',
    axis: 'damaged pixels a frame at 4K',
    measure: 'guest and host work a frame, median',
    unit: 'µs',
    series: (scenarios) => {
      const copied = scenarios.filter(({ options }) => options.path === 'copy');
      const imported = scenarios.find(({ options }) => options.path === 'udmabuf');
      const series = seriesAlong(copied, { name: () => 'copy', at: damagedPixels, value: workOf });
      if (imported === undefined || series.length === 0) return series;
      // Importing costs the same whatever was damaged: it is measured once.
      const { id, results } = imported.record;
      const value = workUs(imported.record);
      const level = series[0].points.map(({ at, label }) => ({ at, label, value, scenarios: [id], disturbed: results.disturbed }));
      return [{ name: 'udmabuf', points: level }, ...series];
    },
    answers: (series) => {
      const level = series.find(({ name }) => name === 'udmabuf')?.points[0]?.value;
      const copied = series.find(({ name }) => name === 'copy');
      if (level === undefined || level === null || copied === undefined) return [];
      const at = crossing(copied, level);
      const imported = `importing (${duration(level)} of work a frame)`;
      if (at === 'below') return [`Copying the damage beat ${imported} at every size.`];
      if (at === 'above') return [`Copying even the smallest rectangle (${copied.points[0].label}) takes more work than ${imported}.`];
      return [
        `Copying the damage takes less work than ${imported} up to about ${compact(at)} pixels, a square of ${compact(Math.sqrt(at))}.`,
      ];
    },
  },
);

function damagedPixels({ damage: rectangle, width, height }: MachineOptions): { at: number; label: string } {
  const size = rectangle ?? { width, height };
  return { at: size.width * size.height, label: rectangle === null ? 'all' : `${size.width}x${size.height}` };
}

/** Frames between two moves of a buffer; 0: never. */
const MOVES = [0, 3000, 1000, 300, 100, 30, 10, 3, 1] as const;

const migration = suite(
  'migration',
  '15 s',
  { ...SHORT, measureMs: 250 },
  () => [
    ...MOVES.map((migrateEvery) => scenario({ ...hd, rateHz: null, path: 'vfio', migrateEvery })),
    scenario({ ...hd, rateHz: null, path: 'readback-blob' }),
  ],
  {
    question: 'how often may buffers move before reading back is cheaper?',
    axis: 'moves between VRAM and system memory in 1,000 frames',
    measure: 'time a frame at max rate, moves and new mappings included',
    unit: 'µs',
    series: (scenarios) => {
      const moved = scenarios.filter(({ options }) => options.path !== 'readback-blob');
      const read = scenarios.find(({ options }) => options.path === 'readback-blob');
      const series = seriesAlong(moved, { name: ({ path }) => path, at: moves, value: frameUs });
      if (read === undefined || series.length === 0) return series;
      const { id, results } = read.record;
      const level = series[0].points.map(({ at, label }) => ({
        at,
        label,
        value: frameUs(read),
        scenarios: [id],
        disturbed: results.disturbed,
      }));
      return [...series, { name: 'readback-blob', points: level }];
    },
    answers: (series) => {
      const level = series.find(({ name }) => name === 'readback-blob')?.points[0]?.value ?? null;
      const moved = series.find(({ name }) => name === 'vfio');
      if (level === null || moved === undefined) return [];
      const at = crossing(moved, level);
      const read = `reading back (${duration(level)})`;
      if (at === 'below') return [`Importing took less time a frame than ${read} at every rate of moves.`];
      if (at === 'above') return [`Importing took more time a frame than ${read} even without moves.`];
      return [`Importing takes less time a frame than ${read} up to about ${compact(at)} moves in 1,000 frames.`];
    },
  },
);

function moves({ migrateEvery }: MachineOptions): { at: number; label: string } {
  if (migrateEvery === 0) return { at: 0, label: 'never' };
  return { at: 1000 / migrateEvery, label: migrateEvery === 1 ? 'every frame' : `1 in ${migrateEvery}` };
}

function frameUs({ record }: Studied): number | null {
  return record.results.fps > 0 ? 1e6 / record.results.fps : null;
}

/** How long the sink reads a frame, µs: beyond half a period the last read comes after the guest's next tick. */
const READS = [2000, 6000, 10_000, 14_000] as const;

const buffers = suite(
  'buffers',
  '35 s',
  { ...DEFAULT, repetitions: 2, pacedFrames: 30, maxSeconds: 90 },
  () =>
    READS.flatMap((scanoutUs) => [
      ...[1, 2, 3].map((count) => scenario({ ...hd, rateHz: 60, path: 'udmabuf', buffers: count, scanoutUs })),
      scenario({ ...hd, rateHz: 60, path: 'copy', buffers: 2, scanoutUs }),
    ]),
  {
    question: 'do two or three buffers hold 60 Hz, waiting for release?',
    axis: 'how long the sink reads a frame, from its vblank half a refresh after the tick',
    measure: 'frames a second',
    unit: '',
    series: (scenarios) =>
      seriesAlong(scenarios, {
        name: ({ path, buffers: count }) => `${path} ${count}buf`,
        at: ({ scanoutUs }) => ({ at: scanoutUs, label: `${scanoutUs / 1000} ms` }),
        value: ({ record }) => record.results.fps,
      }),
    answers: (series) =>
      series.flatMap((of) => {
        const values = valuesOf(of);
        const slow = values.find(({ value }) => value < 45);
        if (values.length === 0) return [];
        if (slow === undefined) return [`${of.name}: holds its rate up to reads of ${values.at(-1)?.label ?? ''}.`];
        return [`${of.name}: falls to ${compact(slow.value)} frames a second when the sink reads for ${slow.label}.`];
      }),
  },
);

const HEADS = [1, 2, 4, 8, 16] as const;

const heads = suite(
  'heads',
  '20 s',
  { ...DEFAULT, repetitions: 2, pacedFrames: 30, maxSeconds: 60 },
  () =>
    HEADS.flatMap((count) =>
      (['udmabuf', 'copy'] as const).map((path) => scenario({ ...hd, rateHz: 60, path, heads: count, logCapacity: 4096 })),
    ),
  {
    question: 'what do 1 to 16 scanouts take of each 60 Hz refresh?',
    axis: 'scanouts of 1080p',
    measure: 'host work a refresh over all scanouts (of 16,667 µs), median',
    unit: 'µs',
    series: (scenarios) =>
      seriesAlong(scenarios, {
        name: ({ path }) => path,
        at: ({ heads: count }) => ({ at: count, label: String(count) }),
        value: ({ options, record: { results } }) => (results.hostServiceUs === null ? null : results.hostServiceUs.p50 * options.heads),
      }),
    answers: (series) =>
      series.flatMap((of) => {
        const last = valuesOf(of).at(-1);
        if (last === undefined) return [];
        return [`${of.name}: ${last.label} scanouts take ${compact((last.value / PERIOD_US) * 100)}% of the host's refresh.`];
      }),
  },
);

const SIZES = ['64x64', '128x128', '256x256', '720p', '1080p', '4k'] as const;

const breakEven = suite(
  'break-even',
  '20 s',
  { ...SHORT, repetitions: 3 },
  () =>
    matrix({
      paths: ['udmabuf', 'readback-blob', 'copy'],
      resolutions: SIZES.map(parseResolution),
      rates: [null],
      layouts: ['4k'],
      base: { listLimit: 16384 },
    }),
  {
    question: 'after how many frames has importing a buffer paid?',
    axis: 'pixels a frame, on single scattered pages',
    measure: 'frames until the work saved is more than the import took',
    unit: '',
    series: (scenarios) =>
      (['readback-blob', 'copy'] as const).flatMap((path) => {
        const copied = scenarios.filter(({ options }) => options.path === path);
        const against = seriesAlong(copied, {
          name: () => `against ${path}`,
          at: (options) => ({ at: options.width * options.height, label: sizeOf(options) }),
          value: (studied) => framesToPay(studied, importedBeside(scenarios, studied)),
        });
        return against.map(({ name, points }) => ({ name, points: points.map((point) => withImported(point, scenarios)) }));
      }),
    answers: (series) =>
      series.flatMap((of) => {
        const last = valuesOf(of).at(-1);
        const never = of.points.filter(({ value }) => value === null).map(({ label }) => label);
        const pays = last === undefined ? [] : [`At ${last.label} importing has paid after ${compact(last.value)} frames ${of.name}.`];
        return never.length === 0 ? pays : [...pays, `At ${never.join(', ')} it saves no work ${of.name}.`];
      }),
  },
);

function importedBeside(scenarios: readonly Studied[], { options }: Studied): Studied | undefined {
  return scenarios.find(
    (other) => other.options.path === 'udmabuf' && other.options.width === options.width && other.options.height === options.height,
  );
}

/** A point of copied frames rests on the imported ones beside them too. */
function withImported(point: StudyPoint, scenarios: readonly Studied[]): StudyPoint {
  const copied = scenarios.find(({ record }) => record.id === point.scenarios[0]);
  const imported = copied === undefined ? undefined : importedBeside(scenarios, copied);
  if (imported === undefined) return point;
  const { id, results } = imported.record;
  return { ...point, scenarios: [...point.scenarios, id], disturbed: point.disturbed || results.disturbed };
}

/** Import work over the work that each imported frame saves; null: it saves none. */
function framesToPay(copied: Studied, imported: Studied | undefined): number | null {
  if (imported === undefined) return null;
  const cost = importMedianUs([imported.record]);
  const [copying, importing] = [workUs(copied.record), workUs(imported.record)];
  if (cost === null || copying === null || importing === null || copying <= importing) return null;
  return cost / (copying - importing);
}

const rings = suite(
  'rings',
  '12 s',
  { ...SHORT, repetitions: 4 },
  () =>
    [1, 8].flatMap((count) =>
      RINGS.flatMap((ring) =>
        [false, true].map((inOrder) =>
          scenario({ ...hd, rateHz: null, path: 'udmabuf', ring, inOrder, heads: count, ...(count > 1 ? { logCapacity: 16384 } : {}) }),
        ),
      ),
    ),
  {
    question: 'which ring costs least: split, packed, in order or not?',
    axis: 'layout of the rings',
    measure: 'guest and host work a frame, median',
    unit: 'µs',
    series: (scenarios) =>
      seriesAlong(scenarios, {
        name: ({ heads: count }) => (count === 1 ? '1 scanout' : `${count} scanouts`),
        at: ({ ring, inOrder }) => ({
          at: RINGS.indexOf(ring) * 2 + Number(inOrder),
          label: inOrder ? `${ring}, in order` : ring,
        }),
        value: workOf,
      }),
    answers: (series) =>
      series.flatMap((of) => {
        const sorted = valuesOf(of).sort((a, b) => a.value - b.value);
        const [best, next] = sorted;
        if (best === undefined || next === undefined) return [];
        return [`${of.name}: least with ${best.label} (${duration(best.value)}), then ${next.label} (${duration(next.value)}).`];
      }),
  },
);

/** Suites that each answer one question with one chart. */
export const STUDIES: readonly Suite[] = [fragmentation, damage, migration, buffers, heads, breakEven, rings];
