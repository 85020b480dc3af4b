import { compact, duration, grouped, trimmed } from '../../reports/format.ts';
import { wrap } from '../../reports/terminal.ts';
import { callTree, functionTimes, placeOf } from './call-tree.ts';
import type { Difference } from './diff.ts';
import type { ScenarioProfile, ThreadProfile } from './record.ts';
import { sampledSplit, splitOf } from './split.ts';

const FUNCTIONS = 8;
const SITES = 4;

const percent = (part: number, whole: number): string => `${trimmed(whole > 0 ? (part / whole) * 100 : 0, 1)}%`;

/** The profile as text of at most 80 columns, ended by a newline. */
export function profileText(profile: ScenarioProfile, difference: Difference | null): string {
  const { guest, host, scenario, frames } = profile;
  const lines = [`${scenario}: ${grouped(frames)} frames in ${duration(guest.wallUs)}`];
  for (const thread of [guest, host]) lines.push('', ...threadLines(thread, frames));
  if (difference !== null) lines.push('', ...differenceLines(difference));
  return `${lines.join('\n')}\n`;
}

function threadLines(thread: ThreadProfile, frames: number): string[] {
  const tree = callTree(thread.cpu, thread.thread);
  const { computeUs, spinUs, sleepUs } = splitOf(thread);
  const sampled = sampledSplit(tree);
  const wall = thread.wallUs;
  const waited = thread.runQueueWaitUs === null ? 'unavailable' : percent(thread.runQueueWaitUs, wall);
  const lines = [
    `${thread.thread} thread`,
    ...wrap(
      `  counters: compute ${percent(computeUs, wall)}, spinning ${percent(spinUs, wall)}, asleep ${percent(sleepUs, wall)}; ` +
        `CPU time ${percent(thread.cpuUs, wall)}, waited for a CPU ${waited}`,
      4,
    ),
    ...wrap(
      `  samples: compute ${percent(sampled.computeUs, tree.totalUs)}, spinning ${percent(sampled.spinUs, tree.totalUs)}, ` +
        `asleep ${percent(sampled.sleepUs, tree.totalUs)} of ${grouped(thread.cpu.samples.length)}`,
      4,
    ),
    ...wrap(`  memory: ${memoryWords(thread, frames)}`, 4),
    '  own time, of the whole:',
  ];
  for (const { name, file, line, kind, selfUs } of functionTimes(tree).slice(0, FUNCTIONS)) {
    const note = kind === 'spin' ? ' (spinning)' : kind === 'sleep' ? ' (asleep)' : '';
    lines.push(`  ${percent(selfUs, tree.totalUs).padStart(7)}  ${`${name}${note}  ${placeOf({ file, line })}`}`.slice(0, 80));
  }
  if (thread.heapSites.length > 0) lines.push('  allocated, sampled:');
  for (const { name, place, bytes } of thread.heapSites.slice(0, SITES))
    lines.push(`  ${`${grouped(bytes)} B`.padStart(11)}  ${name}  ${place}`.slice(0, 80));
  return lines;
}

/** `no collection, 13 bytes a frame`. */
export function memoryWords({ collections, allocatedBytes }: ThreadProfile, frames: number): string {
  const collected = collections === 0 ? 'no collection' : collections === 1 ? '1 collection' : `${grouped(collections)} collections`;
  if (allocatedBytes === null || frames === 0) return `${collected}, allocated bytes unavailable`;
  return `${collected}, ${compact(allocatedBytes / frames)} bytes a frame`;
}

/** `12 µs to 15 µs a frame`, and what changed. */
export function differenceLines({ base, beforeUs, nowUs, changes }: Difference): string[] {
  const lines = wrap(`Against ${base}: ${compact(beforeUs)} to ${compact(nowUs)} µs of sampled work a frame, waiting left out`, 2);
  if (changes.length === 0) return [...lines, '  no function changed beyond the noise of the samples'];
  lines.push('     before        now     change  function (µs of its own a frame)');
  for (const { thread, name, file, beforeUs: was, nowUs: is, changeUs, noiseUs } of changes.slice(0, 15)) {
    const figures = [figure(was), figure(is), `${changeUs > 0 ? '+' : '−'}${compact(Math.abs(changeUs))}`];
    lines.push(`${figures.map((text) => text.padStart(11)).join('')}  ${thread} ${name} ± ${compact(noiseUs)}  ${file}`.slice(0, 80));
  }
  lines.push('  Sampled, of one run each: where to look, no verdict; scanout compare judges.');
  return lines;
}

const figure = (us: number | null): string => (us === null ? '-' : compact(us));
