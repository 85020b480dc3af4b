import { decodeRequest, type Request } from '../protocol/request.ts';
import { type ChainRecord, type Trace, TraceError } from '../trace/trace.ts';
import { lineOf, planReplay } from './replay-plan.ts';
import type { Workload, WorkloadBuffer, WorkloadChain, WorkloadFrame, WorkloadImage, WorkloadStep } from './workload.ts';
import { type Frame, type Life, livesOf, longestCycle, type Run, runsOf } from './workload-runs.ts';

const HEADER_BYTES = 24;
/** Regions that a machine's memory table holds beside the rings: bits of its mask. */
const MOST_REGIONS = 31;
const LEAST_FRAMES = 2;
const TWO_32 = 4294967296;

/**
 * Makes a recorded trace repeatable.
 *
 * The part that is repeated: of all stretches of frames in which no resource is made, destroyed, backed or unbacked, no
 * scanout turned off and no memory region changed, and after which the scanout shows what it showed before, the one with
 * the most frames. Of what was sent before it, only what made its resources is sent again, and the last SET_SCANOUT.
 *
 * Its timing: each chain is sent at its recorded time, but the commands of one flip (TRANSFER and SET_SCANOUT of the flushed
 * resource, FLUSH) together at the first one's, as Linux publishes them (virtgpu_plane.c: one notify a commit): when the
 * recording host took the later ones tells of that host's speed. A cycle follows the one before after the median interval.
 * @throws TraceError at the line that no machine here could play, or where there is no such part
 */
export function planWorkload(trace: Trace): Workload {
  const { queueSize, tableDescriptors } = planReplay(trace);
  const best = longestCycle(runsOf(trace));
  if (best === null || best.to - best.from < LEAST_FRAMES) {
    throw new TraceError(1, 'no two frames in it that could be repeated', 'record a guest that flips pages for a while');
  }
  const run: LivingRun = { ...best.run, lives: livesOf(trace, best.run) };
  const frames = run.frames.slice(best.from, best.to);
  const records = recordsOf(trace, frames);
  const used = usedResources(records);
  const before = best.from === 0 ? run.before : run.frames[best.from - 1].binding;
  if (before === null) throw new Error('a cycle that begins with nothing shown');
  const setUp = [...used].flatMap((resource) => run.lives.get(resource)?.records ?? []).sort((a, b) => a - b);
  if (run.regions.length > MOST_REGIONS) {
    throw new TraceError(lineOf(records[0].record), `${run.regions.length} memory regions; a workload has ${MOST_REGIONS}`, 'record less');
  }
  const buffers = new Map<number, number>();
  const images = new Map<string, number>();
  for (const { binding } of frames) {
    if (!buffers.has(binding.resource)) buffers.set(binding.resource, buffers.size);
    if (!images.has(binding.key)) images.set(binding.key, images.size);
  }
  const list = [...buffers.keys()].map((resource) => bufferOf(run, resource, lineOf(records[0].record)));
  const imageList: WorkloadImage[] = [];
  for (const { binding } of frames)
    imageList[images.get(binding.key) ?? 0] = { buffer: buffers.get(binding.resource) ?? 0, ...binding.image };
  const timed = timeSteps(records, frames);
  const stepsOf: number[][] = frames.map(() => []);
  for (const [at, { frame }] of timed.steps.entries()) if (frame >= 0) stepsOf[frame].push(at);
  const planned = frames.map((frame, i): WorkloadFrame => {
    const own = stepsOf[i];
    return {
      first: own[0],
      last: own[own.length - 1],
      fenced: frame.fenced,
      image: images.get(frame.binding.key) ?? 0,
      buffer: buffers.get(frame.binding.resource) ?? 0,
      transferBytes: own.reduce((sum, at) => sum + transferredBy(timed.requests[at], run), 0),
    };
  });
  return {
    features: run.features,
    regions: run.regions,
    queueSize,
    tableDescriptors,
    setUp: [...setUp, before.record].map((record) => chainOf(trace, record)),
    steps: timed.steps,
    cycleNs: timed.cycleNs,
    frames: planned,
    images: imageList,
    buffers: list,
    stamped: canBeStamped(list, imageList, planned, run, timed),
    countable: timed.requests.every((request, at) => timed.steps[at].frame >= 0 || transferredBy(request, run) === 0),
  };
}

interface LivingRun extends Run {
  readonly lives: ReadonlyMap<number, Life>;
}

interface Recorded {
  readonly record: number;
  readonly chain: ChainRecord;
  readonly request: Request;
  /** Its frame in the cycle, −1: none. */
  readonly frame: number;
}

/** The cycle's chains, each with the frame that it belongs to. @throws TraceError for one that is no whole command */
function recordsOf(trace: Trace, frames: readonly Frame[]): Recorded[] {
  const list: Recorded[] = [];
  frames.forEach(({ from, flush, binding }, frame) => {
    for (let record = from; record <= flush; record++) {
      const chain = trace.records[record];
      if (chain.kind !== 'chain') continue;
      const request = decodeRequest(chain.request);
      if ('error' in request) throw new TraceError(lineOf(record), request.error, 'delete the line');
      list.push({ record, chain, request, frame: belongs(request, binding.resource) ? frame : -1 });
    }
  });
  return list;
}

const belongs = (request: Request, resource: number): boolean =>
  (request.name === 'TRANSFER_TO_HOST_2D' ||
    request.name === 'SET_SCANOUT' ||
    request.name === 'SET_SCANOUT_BLOB' ||
    request.name === 'RESOURCE_FLUSH') &&
  request.resource === resource;

function usedResources(records: readonly Recorded[]): Set<number> {
  const used = new Set<number>();
  for (const { request } of records) if ('resource' in request && request.resource !== 0) used.add(request.resource);
  return used;
}

interface Timed {
  readonly steps: WorkloadStep[];
  readonly requests: Request[];
  readonly cycleNs: number;
}

function timeSteps(records: readonly Recorded[], frames: readonly Frame[]): Timed {
  const begins = new Array<number>(frames.length).fill(-1);
  for (const { frame, chain } of records) if (frame >= 0 && begins[frame] < 0) begins[frame] = chain.t;
  const steps: WorkloadStep[] = [];
  let latest = 0;
  let start = -1;
  for (const { record, chain, frame } of records) {
    // In their order, whatever their times say.
    latest = Math.max(latest, frame >= 0 ? begins[frame] : chain.t);
    if (start < 0) start = latest;
    steps.push({ ...wholeChain(chain, record), dueNs: (latest - start) * 1000, frame });
  }
  const intervals = begins.slice(1).map((time, i) => Math.max(0, time - begins[i]));
  intervals.sort((a, b) => a - b);
  const median = intervals[Math.floor(intervals.length / 2)];
  const cycleUs = Math.max(1, begins[begins.length - 1] - begins[0] + median);
  return { steps, requests: records.map(({ request }) => request), cycleNs: cycleUs * 1000 };
}

function chainOf(trace: Trace, record: number): WorkloadChain {
  const chain = trace.records[record];
  if (chain.kind !== 'chain') throw new Error(`record ${record} is no chain`);
  return wholeChain(chain, record);
}

/** @throws TraceError for a chain whose fence could not be renewed, or whose answer could not be read */
function wholeChain({ queue, indirect, readable, writable, request }: ChainRecord, record: number): WorkloadChain {
  if (readable[0] < HEADER_BYTES || (queue === 0 && !(writable[0] >= HEADER_BYTES))) {
    throw new TraceError(lineOf(record), 'a command whose header lies in two descriptors', 'replay it with scanout replay instead');
  }
  return { line: lineOf(record), queue, indirect, readable, writable, request };
}

/** @throws TraceError when the buffer does not lie in the guest's memory */
function bufferOf(run: LivingRun, resource: number, line: number): WorkloadBuffer {
  const life = run.lives.get(resource);
  if (life === undefined) throw new Error(`resource ${resource} is shown and was not made`);
  const entries = life.entries.map(({ addrLo, addrHi, length }) => ({ address: addrHi * TWO_32 + addrLo, length }));
  const regions = entries.map(({ address, length }) =>
    run.regions.find(({ gpa, size }) => address >= gpa && address + length <= gpa + size),
  );
  if (entries.length === 0 || regions.includes(undefined)) {
    throw new TraceError(line, `resource ${resource} has no backing, or one outside the guest's memory`, 'record the trace anew');
  }
  const ram = regions.every((region) => region?.kind === 'ram');
  const device = regions.every((region) => region === regions[0] && region?.kind === 'device');
  return { resource, kind: life.kind, bytes: life.bytes, entries, lies: ram ? 'ram' : device ? 'device' : 'mixed' };
}

function transferredBy(request: Request, run: LivingRun): number {
  if (request.name !== 'TRANSFER_TO_HOST_2D' || run.lives.get(request.resource)?.kind !== '2d') return 0;
  return request.width * request.height * 4;
}

/**
 * A frame's number can be written into its pixels where whole words begin its rows, no two buffers share pages, and the
 * host takes all of the picture over: a 2D resource's TRANSFER of a part would leave rows of an earlier frame.
 */
function canBeStamped(
  buffers: readonly WorkloadBuffer[],
  images: readonly WorkloadImage[],
  frames: readonly WorkloadFrame[],
  run: LivingRun,
  { requests }: Timed,
): boolean {
  const pieces = buffers.flatMap(({ entries }) => entries).toSorted((a, b) => a.address - b.address);
  if (pieces.some(({ address, length }) => address % 4 !== 0 || length % 4 !== 0)) return false;
  if (pieces.some(({ address }, i) => i > 0 && address < pieces[i - 1].address + pieces[i - 1].length)) return false;
  for (const { buffer, offset, stride, width, height } of images) {
    if (offset % 4 !== 0 || stride % 4 !== 0 || offset + (height - 1) * stride + width * 4 > buffers[buffer].bytes) return false;
  }
  return frames.every(({ buffer, first, last }) => {
    const { kind, resource } = buffers[buffer];
    if (kind === 'blob') return true;
    const life = run.lives.get(resource);
    return requests
      .slice(first, last)
      .some(
        (request) =>
          request.name === 'TRANSFER_TO_HOST_2D' &&
          request.resource === resource &&
          request.x === 0 &&
          request.y === 0 &&
          request.width === life?.width &&
          request.height === life.height &&
          request.offsetLo === 0 &&
          request.offsetHi === 0,
      );
  });
}
