/** What a soak does, drawn from its seed: round n of a seed is the same machine with the same wishes whatever came before it. */
import { drawFault, type Fault } from '../../core/machine/faults.ts';
import { DEFAULT_OPTIONS, type MachineOptions, PATHS, type Path, RINGS } from '../../core/machine/options.ts';
import { PAGE_LAYOUTS, type PageLayout } from '../../core/memory/allocator.ts';
import { Random } from '../../core/memory/random.ts';

/** Largest sizes of a machine's heads, with the heads it may have then: what a small runner's memory takes. */
const SIZES = [
  { width: 800, height: 600, heads: 4 },
  { width: 1280, height: 720, heads: 3 },
  { width: 1920, height: 1080, heads: 2 },
] as const;
const RATES = [60, 60, 75, 120, null] as const;
/** Least side that a display asks for, pixels. */
const MIN_SIDE = 64;

/** Faults happen before this frame. */
const FAULT_FRAMES = 120;
/** They make every time of a run worthless, which is their outcome: a soak needs its deadlines. */
const CLOCK_FAULTS: ReadonlySet<string> = new Set(['clock-step', 'clock-back']);

/** A change of a running machine. */
export type SoakEvent =
  | { readonly kind: 'resize' | 'plug'; readonly head: number; readonly width: number; readonly height: number }
  | { readonly kind: 'unplug'; readonly head: number }
  | { readonly kind: 'layout'; readonly head: number; readonly layout: PageLayout };

export const EVENT_KINDS = ['resize', 'unplug', 'plug', 'layout'] as const;

/** The generator of a round. */
export const roundRandom = (seed: number, round: number): Random => new Random(seed + Math.imul(round + 1, 0x9e3779b1));

/** The machine of a round: paths take turns, everything else is drawn. */
export function drawMachine(random: Random, round: number): MachineOptions {
  const path = PATHS[round % PATHS.length];
  const size = pick(random, SIZES);
  const rateHz = pick(random, RATES);
  const periodUs = 1e6 / (rateHz ?? 1000);
  return {
    ...DEFAULT_OPTIONS,
    path,
    width: size.width,
    height: size.height,
    heads: 1 + random.below(size.heads),
    buffers: 2 + random.below(2),
    layout: pick(random, PAGE_LAYOUTS),
    rateHz,
    renderer: random.below(6) === 0 ? 'paint' : 'stamp',
    sink: 'verify',
    crcEvery: 32,
    scanoutUs: Math.floor((periodUs * random.below(50)) / 100),
    sinkPhase: random.below(100) / 100,
    migrateEvery: path === 'copy' ? 0 : 3 + random.below(28),
    listLimit: pick(random, [1024, 8192]),
    ring: pick(random, RINGS),
    inOrder: random.below(4) === 0,
    faults: drawFaults(random, path),
    seed: random.next(),
    logCapacity: 1024,
  };
}

/** Every second machine has a fault, some two. */
function drawFaults(random: Random, path: Path): Fault[] {
  const count = Math.max(0, random.below(5) - 2);
  return Array.from({ length: count }, () => drawFault(random, { path }, FAULT_FRAMES)).filter(
    ({ name }, i, all) => !CLOCK_FAULTS.has(name) && all.findIndex((other) => other.name === name) === i,
  );
}

/** The next change. @param on whether each head has a display now; the last one that has keeps it */
export function drawEvent(random: Random, options: MachineOptions, on: readonly boolean[]): SoakEvent {
  const head = random.below(on.length);
  const width = MIN_SIDE + random.below(options.width - MIN_SIDE + 1);
  const height = MIN_SIDE + random.below(options.height - MIN_SIDE + 1);
  const layout = pick(random, PAGE_LAYOUTS);
  const choice = random.below(6);
  if (!on[head]) return { kind: 'plug', head, width, height };
  if (choice === 0 && on.filter(Boolean).length > 1) return { kind: 'unplug', head };
  if (choice <= 2) return { kind: 'layout', head, layout };
  return { kind: 'resize', head, width, height };
}

/** Until the next change, ms: mostly at once, sometimes with a while of undisturbed frames. */
export const drawPauseMs = (random: Random): number => (random.below(4) === 0 ? 200 + random.below(600) : random.below(60));

function pick<T>(random: Random, from: readonly T[]): T {
  return from[random.below(from.length)];
}
