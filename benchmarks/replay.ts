import { createReadStream } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { planReplay, Replay, type ReplayOptions, type ReplayPlan, type ReplayResult } from '../core/machine/replay.ts';
import { MonotonicClock, monotonicNowNs } from '../core/measure/clock.ts';
import { parseTrace, type Trace, TraceError } from '../core/trace/trace.ts';

/** A trace that can be played. */
export interface LoadedTrace {
  /** As it was named. */
  readonly file: string;
  readonly trace: Trace;
  readonly plan: ReplayPlan;
}

/** One trace in `scanout replay --json`. */
export interface ReplayedTrace extends ReplayResult {
  file: string;
  guest: string | null;
  workload: string | null;
}

/** `scanout replay --json`. */
export interface ReplayDocument {
  traces: ReplayedTrace[];
  /** True: not all traces were played to their end. */
  interrupted: boolean;
}

/** A file that is no playable trace; the message names it and, where there is one, the line. */
export class TraceFileError extends Error {
  override name = 'TraceFileError';
}

/** Records between two looks at the abort signal: at most some 50 ms each, where 8K frames are copied. */
const RECORDS_A_TURN = 8;

/** Longest trace read: the recorded ones have 0.1 MB, an hour at 60 Hz some 100 MB. */
const MOST_BYTES = 256 * 2 ** 20;

/** Reads and checks a trace, playing nothing. @throws TraceFileError */
export async function loadTrace(file: string): Promise<LoadedTrace> {
  const text = await readTrace(file);
  return inFile(file, () => {
    const trace = parseTrace(text);
    return { file, trace, plan: planReplay(trace) };
  });
}

/** A trace's text, not looked at. @throws TraceFileError when it cannot be read */
export async function readTrace(file: string): Promise<string> {
  try {
    return await readText(file);
  } catch (error) {
    throw new TraceFileError(`${file}: cannot be read: ${whyUnreadable(error)}`);
  }
}

/** A file or pipe as text, up to MOST_BYTES: a device or pipe may never end. */
async function readText(file: string): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MOST_BYTES) throw Object.assign(new Error('too large'), { code: 'ERR_FS_FILE_TOO_LARGE' });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, bytes).toString('utf8');
}

/**
 * Plays traces one after the other, each on a machine of its own.
 * @throws TraceFileError when a trace needs more memory than there is
 */
export async function replayTraces(traces: readonly LoadedTrace[], options: ReplayOptions, signal: AbortSignal): Promise<ReplayDocument> {
  const timer = new MonotonicClock(monotonicNowNs());
  const replayed: ReplayedTrace[] = [];
  for (const { file, trace, plan } of traces) {
    if (signal.aborted) break;
    const replay = inFile(file, () => new Replay(trace, options, timer, plan));
    let more = true;
    while (more && !signal.aborted) {
      more = replay.play(RECORDS_A_TURN);
      // Signals are delivered between turns.
      await setImmediate();
    }
    replayed.push({ file, guest: trace.header.guest ?? null, workload: trace.header.workload ?? null, ...replay.result });
    if (more) return { traces: replayed, interrupted: true };
  }
  return { traces: replayed, interrupted: replayed.length < traces.length };
}

function inFile<T>(file: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof TraceError)) throw error;
    throw new TraceFileError(`${file}: ${error.message}`);
  }
}

function whyUnreadable(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const known: Readonly<Record<string, string>> = {
    ENOENT: 'there is no such file',
    EISDIR: 'it is a directory',
    EACCES: 'permission denied',
    ENOTDIR: 'a part of its path is no directory',
    ERR_FS_FILE_TOO_LARGE: 'it is larger than 256 MiB',
    ERR_STRING_TOO_LONG: 'it is too large for one text',
  };
  return known[code] ?? (error instanceof Error ? error.message.split('\n')[0] : String(error));
}
