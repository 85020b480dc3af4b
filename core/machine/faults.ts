/**
 * The faults that can be injected on purpose, as data (hostile-guest "Faults"). A fault happens once, at the first
 * occasion from its frame on; frames count from 0 over the whole session, restarts included, on all heads together.
 * What injects them: fault-guest.ts, fault-host.ts; what keeps the machine going after a death: the session's supervisor.
 */
import type { Random } from '../memory/random.ts';
import { type MachineOptions, type Path, pathUsesBlob } from './options.ts';

export interface FaultKind {
  readonly name: string;
  /** The side that it is injected on. */
  readonly side: 'guest' | 'host';
  /** The thread that ends because of it; a new one takes its place. */
  readonly kills: 'guest' | 'host' | null;
  /** What it acts on: the blob feature, a GPU with buffers that move, or such buffers imported where they lie; null: any path. */
  readonly needs: 'blob' | 'gpu' | 'imported' | null;
  /** What is done, one line. */
  readonly summary: string;
  /** What must come of it. */
  readonly outcome: string;
  /** Names of the fault counters (`FAULT_COUNTERS`) that may be other than 0 because of it. */
  readonly explains: readonly FaultCounter[];
  /** It may take the whole process along: never drawn at random, tested in a child process. */
  readonly dangerous?: true;
}

/** Counters that are 0 in a run in which nothing went wrong. */
export const FAULT_COUNTERS = [
  'fencesTimedOut',
  'fencesCancelled',
  'lostNotifications',
  'clockSteps',
  'reinitialisations',
  'staleDrivers',
  'ringErrors',
  'hostRestarts',
  'guestRestarts',
] as const;
export type FaultCounter = (typeof FAULT_COUNTERS)[number];

const GUEST_GONE = ['guestRestarts'] as const;
const HOST_GONE = ['hostRestarts', 'reinitialisations', 'staleDrivers', 'fencesCancelled', 'fencesTimedOut'] as const;

const KINDS = [
  {
    name: 'guest-dies-before-idx',
    side: 'guest',
    kills: 'guest',
    needs: null,
    summary: 'the guest ends before it publishes a frame',
    outcome: 'the host sees nothing; the device is reset',
    explains: GUEST_GONE,
  },
  {
    name: 'guest-dies-after-idx',
    side: 'guest',
    kills: 'guest',
    needs: null,
    summary: 'the guest ends between publishing and kicking',
    outcome: 'the frame completes or is dropped at reset',
    explains: GUEST_GONE,
  },
  {
    name: 'guest-dies-before-answer',
    side: 'guest',
    kills: 'guest',
    needs: null,
    summary: 'the guest ends before it takes the answer',
    outcome: 'the frame completes or is dropped at reset',
    explains: GUEST_GONE,
  },
  {
    name: 'guest-dies-scanning',
    side: 'host',
    kills: 'guest',
    needs: null,
    summary: 'the guest ends while the sink reads its frame',
    outcome: 'the sink stops at reset; the budget is returned',
    explains: GUEST_GONE,
  },
  {
    name: 'guest-exits',
    side: 'guest',
    kills: 'guest',
    needs: null,
    summary: "the guest's worker exits without an error",
    outcome: 'supervised by its exit; the device is reset',
    explains: GUEST_GONE,
  },
  {
    name: 'host-dies-holding',
    side: 'host',
    kills: 'host',
    needs: null,
    summary: 'the host ends while it holds chains',
    outcome: 'new session; the guest starts anew, recycles nothing',
    explains: HOST_GONE,
  },
  {
    name: 'host-dies-scanning',
    side: 'host',
    kills: 'host',
    needs: null,
    summary: 'the host ends while its sink reads a frame',
    outcome: 'new session; the guest starts anew',
    explains: HOST_GONE,
  },
  {
    name: 'host-dies-before-answer',
    side: 'host',
    kills: 'host',
    needs: null,
    summary: 'the host ends between release and answer',
    outcome: 'new session; the guest starts anew',
    explains: HOST_GONE,
  },
  {
    name: 'host-dies-after-answer',
    side: 'host',
    kills: 'host',
    needs: null,
    summary: 'the host ends between answer and interrupt',
    outcome: 'the answer counts; new session',
    explains: HOST_GONE,
  },
  {
    name: 'host-exits',
    side: 'host',
    kills: 'host',
    needs: null,
    summary: "the host's worker exits without an error",
    outcome: 'supervised by its exit; new session',
    explains: HOST_GONE,
  },
  {
    name: 'host-out-of-memory',
    side: 'host',
    kills: 'host',
    needs: null,
    summary: "the host's worker fills its heap",
    outcome: 'supervised by its exit; new session',
    explains: HOST_GONE,
    dangerous: true,
  },
  {
    name: 'lost-kick',
    side: 'guest',
    kills: null,
    needs: null,
    summary: 'a ring of the host by the guest goes missing',
    outcome: 'found by the timed re-check, counted',
    explains: ['lostNotifications', 'fencesTimedOut'],
  },
  {
    name: 'lost-interrupt',
    side: 'host',
    kills: null,
    needs: null,
    summary: 'a ring of the guest by the host goes missing',
    outcome: 'found by the timed re-check, counted',
    explains: ['lostNotifications', 'fencesTimedOut'],
  },
  {
    name: 'doubled-kick',
    side: 'guest',
    kills: null,
    needs: null,
    summary: 'the host is rung twice, and once for nothing',
    outcome: 'no effect',
    explains: [],
  },
  {
    name: 'doubled-interrupt',
    side: 'host',
    kills: null,
    needs: null,
    summary: 'the guest is rung twice, and once for nothing',
    outcome: 'no effect',
    explains: [],
  },
  {
    name: 'reset-pending',
    side: 'guest',
    kills: null,
    needs: null,
    summary: 'the guest resets the device, its flush unanswered',
    outcome: 'fences cancelled, samples dropped',
    explains: ['fencesCancelled', 'reinitialisations'],
  },
  {
    name: 'fence-never',
    side: 'host',
    kills: null,
    needs: 'blob',
    summary: 'the sink never gives a frame back',
    outcome: '50 ms a frame, buffers quarantined, then a reset',
    explains: ['fencesTimedOut', 'fencesCancelled', 'reinitialisations'],
  },
  {
    name: 'slow-sink',
    side: 'host',
    kills: null,
    needs: null,
    summary: 'the sink stands still for 200 ms',
    outcome: 'a held buffer is never written',
    explains: ['fencesTimedOut'],
  },
  {
    name: 'queue-full',
    side: 'guest',
    kills: null,
    needs: null,
    summary: 'the guest fills the control queue',
    outcome: 'back-pressure: the frame waits',
    explains: [],
  },
  {
    name: 'importer-dies',
    side: 'guest',
    kills: null,
    needs: 'gpu',
    summary: 'an importer that holds a buffer is gone',
    outcome: 'its attachment is released, the buffer moves',
    explains: [],
  },
  {
    name: 'move-storm',
    side: 'guest',
    kills: null,
    needs: 'gpu',
    summary: 'a buffer moves 8 times a frame, for 8 frames',
    outcome: 'at most one re-map a frame, progress',
    explains: [],
  },
  {
    name: 'memory-pressure',
    side: 'guest',
    kills: null,
    needs: 'gpu',
    summary: 'the memory that the buffers lie in is wanted',
    outcome: 'they move or the move is refused; no frame is torn',
    explains: [],
  },
  {
    name: 'pinned-move',
    side: 'guest',
    kills: null,
    needs: 'imported',
    summary: 'a move of the buffer on screen is asked for',
    outcome: 'refused: it is pinned',
    explains: [],
  },
  {
    name: 'guest-no-memory',
    side: 'guest',
    kills: null,
    needs: 'blob',
    summary: 'no memory for a flush fence in prepare_fb',
    outcome: 'the frame fails, the next one is drawn',
    explains: [],
  },
  {
    name: 'host-no-memory',
    side: 'guest',
    kills: null,
    needs: null,
    summary: 'the host has no memory for an image',
    outcome: 'OUT_OF_MEMORY, nothing is charged',
    explains: [],
  },
  {
    name: 'clock-step',
    side: 'guest',
    kills: null,
    needs: null,
    summary: "the guest's clock jumps 1 s ahead",
    outcome: 'the run is invalid and says so',
    explains: ['clockSteps', 'fencesTimedOut'],
  },
  {
    name: 'clock-back',
    side: 'guest',
    kills: null,
    needs: null,
    summary: "the guest's clock jumps 50 ms back",
    outcome: 'the run is invalid and says so',
    explains: ['clockSteps', 'fencesTimedOut'],
  },
] as const satisfies readonly FaultKind[];

export type FaultName = (typeof KINDS)[number]['name'];

/** Every fault there is. */
export const FAULTS: readonly (FaultKind & { readonly name: FaultName })[] = KINDS;

/** One fault of a machine: plain data. */
export interface Fault {
  readonly name: FaultName;
  /** The frame from which on it happens, at its first occasion. */
  readonly frame: number;
}

/** At most so many faults a machine: each has a bit in a counter. */
export const MAX_FAULTS = 32;
/** Where a fault without a frame happens. */
export const DEFAULT_FRAME = 10;

export function faultKind(name: FaultName): FaultKind {
  const kind = FAULTS.find((candidate) => candidate.name === name);
  if (kind === undefined) throw new RangeError(`there is no fault ${name}`);
  return kind;
}

/** `NAME` or `NAME@FRAME`. @throws RangeError naming what is wrong */
export function parseFault(text: string): Fault {
  const match = /^([a-z-]+)(?:@(\d{1,9}))?$/.exec(text);
  const name = match?.[1] ?? text;
  const kind = FAULTS.find((candidate) => candidate.name === name);
  if (match === null || kind === undefined)
    throw new RangeError(`unknown fault '${text}': use NAME or NAME@FRAME, for example lost-kick@30; 'scanout list' names them`);
  return { name: kind.name, frame: match[2] === undefined ? DEFAULT_FRAME : Number(match[2]) };
}

/** A comma-separated list of faults. @throws RangeError */
export function parseFaults(text: string): Fault[] {
  const faults = text.split(',').map(parseFault);
  if (faults.length > MAX_FAULTS) throw new RangeError(`${faults.length} faults: at most ${MAX_FAULTS} at a time`);
  return faults;
}

export const faultText = ({ name, frame }: Fault): string => `${name}@${frame}`;

const hasGpu = (path: Path): boolean => path !== 'copy';

/** Why a fault cannot happen on a path; null: it can. */
export function unfitFault(fault: Fault, path: Path): string | null {
  const { needs } = faultKind(fault.name);
  if (needs === 'blob' && !pathUsesBlob(path)) return `${fault.name} needs flush fences, which ${path} does not have`;
  if (needs === 'imported' && path !== 'vfio' && path !== 'udmabuf')
    return `${fault.name} needs an imported buffer of the GPU, which ${path} does not have`;
  if (needs === 'gpu' && !hasGpu(path)) return `${fault.name} needs a buffer of the GPU, which ${path} does not have`;
  return null;
}

/** Whether any of the faults moves buffers, which needs memory to move to. */
export function faultsMove(faults: readonly Fault[]): boolean {
  return faults.some(({ name }) => ['gpu', 'imported'].includes(faultKind(name).needs ?? ''));
}

/** A fault for a path, drawn at random, at a frame below `frames`. Equal seeds draw equal faults. */
export function drawFault(random: Random, options: Pick<MachineOptions, 'path'>, frames: number): Fault {
  const fitting = FAULTS.filter(({ name, dangerous }) => dangerous === undefined && unfitFault({ name, frame: 0 }, options.path) === null);
  return { name: fitting[random.below(fitting.length)].name, frame: random.below(frames) };
}
