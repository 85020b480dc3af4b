import { Flag } from '../protocol/constants.ts';
import { decodeRequest, type MemoryEntry, type Request } from '../protocol/request.ts';
import type { Trace, TraceRegion } from '../trace/trace.ts';
import { deviceFeatures } from './replay-plan.ts';
import type { WorkloadImage } from './workload.ts';

const TWO_32 = 4294967296;

/** Pixels. */
interface Rect {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** What the scanout shows: of which resource, by which record. */
export interface Binding {
  readonly resource: number;
  readonly record: number;
  readonly rect: Rect;
  readonly image: Omit<WorkloadImage, 'buffer'>;
  /** Same words: the same picture of the same buffer. */
  readonly key: string;
}

/** A resource's life so far. */
export interface Life {
  readonly kind: '2d' | 'blob';
  readonly width: number;
  readonly height: number;
  bytes: number;
  entries: readonly MemoryEntry[];
  /** Records that made and backed it. */
  readonly records: number[];
}

export interface Frame {
  /** Of the FLUSH, and of the first record after the FLUSH before it. */
  readonly flush: number;
  readonly from: number;
  readonly binding: Binding;
  readonly fenced: boolean;
}

/** Frames between two changes of what there is. */
export interface Run {
  /** What is shown before the first. */
  readonly before: Binding | null;
  readonly frames: Frame[];
  readonly regions: readonly TraceRegion[];
  readonly features: { readonly lo: number; readonly hi: number };
}

/** Frames [from, to) of a run, after which the scanout shows what it showed before. */
export interface Cycle {
  readonly run: Run;
  readonly from: number;
  readonly to: number;
}

/** Every stretch of frames between two changes of resources, memory or what is on. */
export function runsOf(trace: Trace): Run[] {
  const runs: Run[] = [];
  const lives = new Map<number, Life>();
  let regions: readonly TraceRegion[] = [];
  let features = { lo: 0, hi: 0 };
  let shown: Binding | null = null;
  let run: Run | null = null;
  let from = 0;
  /** What was shown at record `from`, where that begins a run. */
  let before: Binding | null = null;
  const cut = (next: number): void => {
    run = null;
    from = next;
    before = shown;
  };
  for (let i = 0; i < trace.records.length; i++) {
    const record = trace.records[i];
    if (record.kind !== 'chain') {
      if (record.kind === 'regions') regions = record.regions;
      else {
        features = deviceFeatures(record);
        lives.clear();
        shown = null;
      }
      cut(i + 1);
      continue;
    }
    if (record.queue !== 0) continue;
    const request = decodeRequest(record.request);
    if ('error' in request) {
      cut(i + 1);
      continue;
    }
    if (changeLives(lives, request, i)) {
      if (request.name === 'RESOURCE_UNREF' && shown?.resource === request.resource) shown = null;
      cut(i + 1);
    } else if (request.name === 'SET_SCANOUT' || request.name === 'SET_SCANOUT_BLOB') {
      if (request.scanout !== 0) cut(i + 1);
      else shown = bindingOf(request, lives, i);
      if (shown === null) cut(i + 1);
    } else if (request.name === 'RESOURCE_FLUSH' && shown !== null && request.resource === shown.resource && touches(request, shown)) {
      if (run === null) {
        run = { before, frames: [], regions, features };
        runs.push(run);
      }
      run.frames.push({ flush: i, from, binding: shown, fenced: (request.flags & Flag.FENCE) !== 0 });
      from = i + 1;
    }
  }
  return runs;
}

/** What resources there are while a run lasts. Of one run, when it is asked for: a guest may have thousands between any two frames. */
export function livesOf(trace: Trace, { frames }: Run): ReadonlyMap<number, Life> {
  const lives = new Map<number, Life>();
  for (let i = 0; i < frames[0].flush; i++) {
    const record = trace.records[i];
    if (record.kind === 'features') lives.clear();
    if (record.kind !== 'chain' || record.queue !== 0) continue;
    const request = decodeRequest(record.request);
    if (!('error' in request)) changeLives(lives, request, i);
  }
  return lives;
}

/** @returns whether the request changes what resources there are, or what backs them */
function changeLives(lives: Map<number, Life>, request: Request, record: number): boolean {
  switch (request.name) {
    case 'RESOURCE_CREATE_2D': {
      const { resource, width, height } = request;
      lives.set(resource, { kind: '2d', width, height, bytes: width * height * 4, entries: [], records: [record] });
      return true;
    }
    case 'RESOURCE_CREATE_BLOB': {
      const { resource, entries, sizeLo, sizeHi } = request;
      lives.set(resource, { kind: 'blob', width: 0, height: 0, bytes: sizeHi * TWO_32 + sizeLo, entries, records: [record] });
      return true;
    }
    case 'RESOURCE_ATTACH_BACKING':
    case 'RESOURCE_DETACH_BACKING': {
      const life = lives.get(request.resource);
      if (life === undefined) return true;
      life.records.push(record);
      life.entries = request.name === 'RESOURCE_ATTACH_BACKING' ? request.entries : [];
      return true;
    }
    case 'RESOURCE_UNREF':
      lives.delete(request.resource);
      return true;
    default:
      return false;
  }
}

function bindingOf(
  request: Extract<Request, { name: 'SET_SCANOUT' | 'SET_SCANOUT_BLOB' }>,
  lives: ReadonlyMap<number, Life>,
  record: number,
): Binding | null {
  const { resource, x, y, width, height } = request;
  const life = lives.get(resource);
  if (resource === 0 || life === undefined) return null;
  const stride = request.name === 'SET_SCANOUT_BLOB' ? request.strides[0] : life.width * 4;
  const first = request.name === 'SET_SCANOUT_BLOB' ? request.offsets[0] : 0;
  const image = { width, height, stride, offset: first + y * stride + x * 4 };
  return { resource, record, rect: { x, y, width, height }, image, key: JSON.stringify([resource, x, y, image]) };
}

/** As the host decides which scanouts a FLUSH is for. */
const touches = (flush: Rect, { rect }: Binding): boolean =>
  flush.x < rect.x + rect.width && rect.x < flush.x + flush.width && flush.y < rect.y + rect.height && rect.y < flush.y + flush.height;

/** The one with the most frames, the earliest of them; null: no run comes back to where it was. */
export function longestCycle(runs: readonly Run[]): Cycle | null {
  let best: Cycle | null = null;
  for (const run of runs) {
    const firstWith = new Map<string, number>();
    if (run.before !== null) firstWith.set(run.before.key, 0);
    for (let i = 0; i < run.frames.length; i++) {
      const { key } = run.frames[i].binding;
      const from = firstWith.get(key);
      if (from === undefined) firstWith.set(key, i + 1);
      else if (best === null || i + 1 - from > best.to - best.from) best = { run, from, to: i + 1 };
    }
  }
  return best;
}
