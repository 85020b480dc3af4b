import { type HostKind, parseResolution, type Scenario, scenario } from '../scenarios.ts';
import type { Suite } from '../suites.ts';
import { DEFAULT } from '../timing.ts';
import type { PairPlan } from './pairs.ts';
import { fetchedQemu } from './qemu.ts';

const SIZES = ['1080p', '4k'] as const;
type Size = (typeof SIZES)[number];

/** At least so many of QEMU's frames an imported one is to be worth. */
const IMPORT_FACTOR = 50;

/** The same guest against hosts of each kind; those that are compared are neighbours. */
function scenarios(): Scenario[] {
  return SIZES.flatMap((size) => [
    transfers(size, 'process'),
    ...peers().map((host) => transfers(size, host)),
    frames(size, 'process'),
    ...peers().map((host) => frames(size, host)),
    imports(size, 'process'),
    frames(size, 'threads'),
    imports(size, 'threads'),
  ]);
}

/** QEMU's builds: the installed one is asked for wherever the suite runs, the other where it was fetched. */
const peers = (): ('qemu' | 'qemu-current')[] => (fetchedQemu() === null ? ['qemu'] : ['qemu', 'qemu-current']);

/** TRANSFER_TO_HOST_2D of whole frames and nothing else. */
const transfers = (size: Size, host: HostKind): Scenario =>
  scenario({ ...parseResolution(size), path: 'copy', rateHz: null, buffers: 1, transferOnly: true }, host);

/** TRANSFER, SET_SCANOUT, FLUSH; of another process's host each frame is sent through the GPU socket. */
const frames = (size: Size, host: HostKind): Scenario =>
  scenario({ ...parseResolution(size), path: 'copy', rateHz: null, ...(host === 'threads' ? { sink: 'display' } : {}) }, host);

/** Imported buffers; of another process's host a display process looks at them where they lie. */
const imports = (size: Size, host: HostKind): Scenario =>
  scenario({ ...parseResolution(size), path: 'udmabuf', rateHz: null, ...(host === 'process' ? { spinUs: 0 } : {}) }, host);

function pairs(): PairPlan[] {
  return peers().flatMap((peer) => {
    const whose = peer === 'qemu' ? "QEMU's" : "current QEMU's";
    return SIZES.flatMap((size): PairPlan[] => {
      const name = size === '4k' ? '4K' : size;
      const whole = { of: frames(size, 'process').id, to: frames(size, peer).id };
      const imported = { of: imports(size, 'process').id, to: frames(size, peer).id };
      return [
        {
          name: `TRANSFER at ${name}, ours over ${whose}`,
          measure: 'commands a second',
          of: transfers(size, 'process').id,
          to: transfers(size, peer).id,
          goal: { atLeast: 1 },
          figure: (metrics) => metrics.fps,
        },
        {
          name: `TRANSFER at ${name}, ours over ${whose}`,
          measure: 'CPU a command',
          of: transfers(size, 'process').id,
          to: transfers(size, peer).id,
          goal: null,
          figure: (metrics) => metrics.hostCpuUsPerFrame,
        },
        {
          name: `whole frames at ${name}, ours over ${whose}`,
          measure: 'frames a second',
          ...whole,
          goal: { atLeast: 1 },
          figure: (m) => m.fps,
        },
        {
          name: `whole frames at ${name}, ours over ${whose}`,
          measure: 'CPU a frame',
          ...whole,
          goal: { atMost: 1 },
          figure: (m) => m.hostCpuUsPerFrame,
        },
        {
          name: `${name}, ours imported over ${whose} whole frames`,
          measure: 'frames a second',
          ...imported,
          goal: { atLeast: IMPORT_FACTOR },
          figure: (metrics) => metrics.fps,
        },
        {
          name: `${name}, ours imported over ${whose} whole frames`,
          measure: 'CPU a frame',
          ...imported,
          goal: { atMost: 1 / IMPORT_FACTOR },
          figure: (metrics) => metrics.hostCpuUsPerFrame,
        },
      ];
    });
  });
}

export const PEERS: Suite = {
  name: 'peers',
  summary: "our host, by threads and as a process, beside QEMU's vhost-user-gpu (about 4 min)",
  scenarios,
  timing: { ...DEFAULT, repetitions: 10, warmupMs: 300, measureMs: 700, verifyMs: 300, maxRepeated: 0, maxSeconds: 420 },
  pairs,
};
