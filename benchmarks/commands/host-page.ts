import type { MachinePlan } from '../../core/machine/plan.ts';
import { Stream, whyNoStream } from '../../workers/stream/stream.ts';
import { GuestSessions } from '../../workers/view/guest-sessions.ts';
import { parseResolution, ScenarioError } from '../scenarios.ts';
import { UsageError } from './command.ts';
import { integerFlag } from './flags.ts';
import { whyNotServed } from './stream.ts';

const ADDRESS = '127.0.0.1';

/** What browsers are shown of the guests of `scanout host`: the picture alone, or a view. */
export interface HostPage {
  readonly stream: Stream;
  /** null: the picture alone. */
  readonly view: GuestSessions | null;
  /** Lets all who watch go. */
  close(): Promise<void>;
}

/**
 * @param ports what the flags say; at most one of them
 * @returns null: neither is wanted
 * @throws UsageError why it cannot be served there
 */
export async function openHostPage(
  plan: MachinePlan,
  ports: { readonly stream: string | undefined; readonly view: string | undefined },
  hasDevices: boolean,
): Promise<HostPage | null> {
  if (ports.stream !== undefined && ports.view !== undefined)
    throw new UsageError('--stream and --view: take one, a view shows the picture, too');
  const flag = ports.view === undefined ? 'stream' : 'view';
  const text = ports[flag];
  if (text === undefined) return null;
  const port = integerFlag(flag, text, 0, 65_535);
  const missing = whyNoStream();
  if (missing !== null) throw new UsageError(`--${flag}: ${missing}`);
  try {
    if (flag === 'stream') {
      const stream = await Stream.open(plan, ADDRESS, port);
      return { stream, view: null, close: () => stream.close() };
    }
    const view = await GuestSessions.open({ plan, address: ADDRESS, port, hasDevices, displayOf });
    return { stream: view.stream, view, close: () => view.close() };
  } catch (error) {
    throw whyNotServed(error, ADDRESS, port, flag);
  }
}

function displayOf(size: string): ReturnType<typeof parseResolution> | string {
  try {
    return parseResolution(size);
  } catch (error) {
    if (error instanceof ScenarioError) return error.message;
    throw error;
  }
}
