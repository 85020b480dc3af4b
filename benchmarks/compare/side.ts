/** One side of a live comparison, measured once in a fresh process by its own command line. */
import { join } from 'node:path';
import { invalidity } from '../../reports/compare/environments.ts';
import { InputError, parseRun, type RunDocument } from '../../reports/index.ts';
import type { Checkout } from './checkout.ts';
import { type Ended, runProgram, tellingLine } from './process.ts';

/** The run came to an end but is not to be believed, or its process died: nothing can be compared. */
export class InvalidRunError extends Error {
  override name = 'InvalidRunError';
}

/** `scanout run` of one side with these arguments. @throws InputError, InvalidRunError, or the signal's reason */
export type MeasureSide = (side: Checkout, args: readonly string[], signal: AbortSignal) => Promise<RunDocument>;

export const measureSide: MeasureSide = async (side, args, signal) => {
  const ended = await runCli(side, ['run', ...args, '--json'], signal);
  const { code, stdout } = ended;
  const said = tellingLine(ended.stderr);
  if (code === 2) throw new InputError(`${side.label}: ${said}`);
  if (code !== 0 && code !== 4) throw new InvalidRunError(`${side.label}: the run ended ${endWords(ended)}`);
  const run = parseRun(stdout, side.label);
  const fault = invalidity(run);
  if (fault !== null) throw new InvalidRunError(`${side.label}: ${fault}`);
  // Another version may call a run invalid for what this one does not know of.
  if (code === 4) throw new InvalidRunError(`${side.label}: ${said === '' ? 'the run ended with exit code 4' : said}`);
  if (run.partial) throw new InvalidRunError(`${side.label}: the run is partial: ${run.partialReason ?? 'it ended early'}`);
  return run;
};

/** Whether the side's `scanout run` knows a flag. @throws InvalidRunError it does not start; the signal's reason */
export async function knowsFlag(side: Checkout, flag: string, signal: AbortSignal): Promise<boolean> {
  const ended = await runCli(side, ['run', '--help'], signal);
  if (ended.code !== 0) throw new InvalidRunError(`${side.label}: 'scanout run --help' ended ${endWords(ended)}`);
  return ended.stdout.includes(`  ${flag} `);
}

/** The side's command line with these arguments, to its end. @throws the signal's reason */
export async function runCli(side: Checkout, args: readonly string[], signal: AbortSignal): Promise<Ended> {
  // A comparison's runs are none that a history should keep.
  const { SCANOUT_REEXECUTED: _, NODE_OPTIONS: __, SCANOUT_HISTORY: ___, ...env } = process.env;
  return await runProgram(process.execPath, [join(side.root, 'bin/scanout.js'), ...args], signal, {
    // Types are stripped once, not in each process.
    env: side.compileCache === undefined ? env : { ...env, NODE_COMPILE_CACHE: side.compileCache },
  });
}

/** `with exit code 1: SyntaxError: …`, `by SIGKILL, as for want of memory`. */
function endWords({ code, signal, stderr }: Ended): string {
  const said = tellingLine(stderr);
  const how = code === null ? `by ${signal}${signal === 'SIGKILL' ? ', as for want of memory' : ''}` : `with exit code ${code}`;
  return said === '' ? how : `${how}: ${said}`;
}
