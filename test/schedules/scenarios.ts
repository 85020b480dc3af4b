/** The scenarios that are explored. */
import type { Scenario } from './scenario.ts';

/** A multiple of every size: a ring used so often is as a new one but for its indices. Six chains later they turn. */
export const NEAR_THE_END = 65532;

/** More than fit at a time, so that slots are used again. */
const buffersOf = ({ size, chain }: Pick<Scenario, 'size' | 'chain'>): number => (size === 4 && chain === 'single' ? 5 : 3);

/** Chains that fit: at size 1 there is no room for two descriptors. */
const SHAPES: readonly Pick<Scenario, 'size' | 'chain' | 'batch'>[] = [
  { size: 1, chain: 'single', batch: false },
  { size: 2, chain: 'single', batch: false },
  { size: 2, chain: 'single', batch: true },
  { size: 4, chain: 'single', batch: false },
  { size: 4, chain: 'single', batch: true },
  { size: 4, chain: 'pair', batch: false },
  { size: 4, chain: 'pair', batch: true },
  { size: 2, chain: 'indirect', batch: true },
];

function everyKind(make: (kind: Pick<Scenario, 'ring' | 'inOrder' | 'eventIdx'>) => readonly Scenario[]): Scenario[] {
  const flags = [false, true];
  return (['split', 'packed'] as const).flatMap((ring) =>
    flags.flatMap((inOrder) => flags.flatMap((eventIdx) => make({ ring, inOrder, eventIdx }))),
  );
}

/** Both layouts, sizes 1, 2 and 4; a split ring's indices pass 65535 under way, a packed ring's wrap counters turn. */
export const SCENARIOS: readonly Scenario[] = everyKind((kind) =>
  SHAPES.map((shape) => ({ ...kind, ...shape, buffers: buffersOf(shape), start: kind.ring === 'split' ? NEAR_THE_END : 0, before: 2 })),
);

/** The same for random schedules: more buffers, and other places to start from. */
export const RANDOM_SCENARIOS: readonly Scenario[] = everyKind((kind) =>
  SHAPES.flatMap((shape) =>
    [0, 1, 2, 3].map((before) => ({
      ...kind,
      ...shape,
      buffers: buffersOf(shape) + 2,
      start: kind.ring === 'split' && before > 0 ? NEAR_THE_END : 0,
      before,
    })),
  ),
);

/** All of them; their numbers are the places here. */
export const NUMBERED: readonly Scenario[] = [...SCENARIOS, ...RANDOM_SCENARIOS];

/** The flag that runs one schedule of a scenario of these again. */
export const replayFlag = (scenario: Scenario, schedule: readonly number[]): string =>
  `--replay ${NUMBERED.indexOf(scenario)}:${schedule.join(',')}`;
