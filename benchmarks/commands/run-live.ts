/** The live comparison as commands run it: sides made ready, progress said, everything tidied up. */
import { join } from 'node:path';
import { type Checkout, checkOut } from '../compare/checkout.ts';
import { type Judge, type LiveRuns, measurePairs } from '../compare/live.ts';
import { withFolder } from '../compare/process.ts';
import { InvalidRunError, knowsFlag, measureSide } from '../compare/side.ts';
import { Progress } from '../progress.ts';
import { EXIT_INTERRUPTED, EXIT_INVALID, type Io } from './command.ts';
import type { LiveSides } from './compare-flags.ts';

export interface LiveRequest {
  readonly sides: LiveSides;
  /** Verify repetitions too: torn frames are asked for. */
  readonly verify?: boolean;
  readonly judge: Judge;
  /** Called while both sides are still there. */
  readonly finish?: (live: LiveRuns, base: Checkout, head: Checkout) => Promise<void>;
}

/** No pair, or none that is to be believed; said on stderr. */
export interface NoRuns {
  readonly runs: null;
  readonly code: number;
  /** One line. */
  readonly reason: string;
}

/** @returns the pairs, or why there is none: a side is invalid, or stopped before a pair was complete. @throws InputError */
export async function runLive(request: LiveRequest, io: Io): Promise<LiveRuns | NoRuns> {
  const progress = new Progress(io.stderr, process.stderr.isTTY === true);
  const none = (code: number, reason: string): NoRuns => {
    progress.end();
    io.stderr(`scanout: ${reason}\n`);
    return { runs: null, code, reason };
  };
  try {
    return await withFolder('scanout-compare-', async (folder) => await measured(request, folder, progress, io));
  } catch (error) {
    if (error instanceof InvalidRunError) return none(EXIT_INVALID, `a run is invalid: ${error.message}`);
    if (!io.signal.aborted) throw error;
    return none(EXIT_INTERRUPTED, 'stopped before a pair was complete');
  } finally {
    progress.end();
  }
}

async function measured({ sides, verify, judge, finish }: LiveRequest, folder: string, progress: Progress, io: Io): Promise<LiveRuns> {
  const { maxPairs, seed } = sides;
  const say = (text: string): void => progress.step(0, maxPairs, text);
  // Names of one length: even the length of a path moves memory about.
  const compileCache = join(folder, 'cache');
  const made = async (name: string, place: string): Promise<Checkout> => ({
    ...(await checkOut(name, join(folder, place), io.signal, say)),
    compileCache,
  });
  const base = await made(sides.base, 'base');
  const head = sides.base === sides.head ? base : await made(sides.head, 'head');
  const bare = await knowBare([base, head], io.signal);
  const live = await measurePairs({
    base,
    head,
    runArgs: [...(sides.runArgs ?? ['--suite', 'quick']), ...(bare && verify !== true ? ['--bare'] : [])],
    maxPairs,
    seed,
    signal: io.signal,
    measure: measureSide,
    judge,
    progress: ({ done, total, text }) => progress.step(done, total, text),
  });
  await finish?.(live, base, head);
  return live;
}

/** Whether both know `--bare`: both must be measured alike. Asked of each in any case, so that one which does not start is found at once. */
async function knowBare(sides: readonly Checkout[], signal: AbortSignal): Promise<boolean> {
  const known: boolean[] = [];
  for (const side of new Set(sides)) known.push(await knowsFlag(side, '--bare', signal));
  return !known.includes(false);
}
