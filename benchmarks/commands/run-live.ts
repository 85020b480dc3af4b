/** The live comparison as commands run it: sides made ready, progress said, everything tidied up. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Checkout, checkOut } from '../compare/checkout.ts';
import { type Judge, type LiveRuns, measurePairs } from '../compare/live.ts';
import { InvalidRunError, knowsFlag, measureSide } from '../compare/side.ts';
import { Progress } from '../progress.ts';
import { EXIT_INTERRUPTED, EXIT_INVALID, type Io } from './command.ts';
import { integerFlag } from './flags.ts';

export const DEFAULT_MAX_PAIRS = 40;

export interface LiveRequest {
  /** Arguments of `scanout run`; undefined: the quick suite. */
  readonly runArgs: readonly string[] | undefined;
  /** Verify repetitions too: torn frames are asked for. */
  readonly verify?: boolean;
  readonly judge: Judge;
  readonly maxPairs: number;
  readonly seed: number;
  /** Called while both sides are still there. */
  readonly finish?: (live: LiveRuns, base: Checkout, head: Checkout) => Promise<void>;
}

/** @throws UsageError */
export function liveFlags(values: { 'max-pairs'?: string | undefined; seed?: string | undefined }): Pick<LiveRequest, 'maxPairs' | 'seed'> {
  const { 'max-pairs': maxPairs, seed } = values;
  return {
    maxPairs: maxPairs === undefined ? DEFAULT_MAX_PAIRS : integerFlag('max-pairs', maxPairs, 1, 1000),
    seed: seed === undefined ? 1 : integerFlag('seed', seed, 0, 2 ** 32 - 1),
  };
}

/** @returns the pairs, or the exit code when there is none: a side is invalid, or stopped before a pair was complete. @throws InputError */
export async function runLive(baseName: string, headName: string, request: LiveRequest, io: Io): Promise<LiveRuns | number> {
  const progress = new Progress(io.stderr, process.stderr.isTTY === true);
  const folder = mkdtempSync(join(tmpdir(), 'scanout-compare-'));
  const say = (text: string): void => progress.step(0, request.maxPairs, text);
  try {
    // Names of one length: even the length of a path moves memory about.
    const compileCache = join(folder, 'cache');
    const base = { ...(await checkOut(baseName, join(folder, 'base'), io.signal, say)), compileCache };
    const head = baseName === headName ? base : { ...(await checkOut(headName, join(folder, 'head'), io.signal, say)), compileCache };
    const runArgs = [
      ...(request.runArgs ?? ['--suite', 'quick']),
      ...(request.verify === true ? [] : await bareFlag([base, head], io.signal)),
    ];
    const live = await measurePairs({
      ...request,
      base,
      head,
      runArgs,
      signal: io.signal,
      measure: measureSide,
      progress: ({ done, total, text }) => progress.step(done, total, text),
    });
    await request.finish?.(live, base, head);
    return live;
  } catch (error) {
    progress.end();
    if (error instanceof InvalidRunError) {
      io.stderr(`scanout: a run is invalid: ${error.message}\n`);
      return EXIT_INVALID;
    }
    if (!io.signal.aborted) throw error;
    io.stderr('scanout: stopped before a pair was complete\n');
    return EXIT_INTERRUPTED;
  } finally {
    progress.end();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** `--bare`, unless a side is too old to know it: both must be measured alike. */
async function bareFlag(sides: readonly Checkout[], signal: AbortSignal): Promise<string[]> {
  for (const side of sides) if (!(await knowsFlag(side, '--bare', signal))) return [];
  return ['--bare'];
}
