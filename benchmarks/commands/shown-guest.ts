import type { Content } from '../../core/machine/content.ts';
import type { EncoderName, MachineOptions } from '../../core/machine/options.ts';
import { PAGE_LAYOUTS } from '../../core/memory/allocator.ts';
import type { EncoderWish } from '../../workers/encode/hardware-probe.ts';
import { Libc } from '../../workers/native/libc.ts';
import { whyNoStream } from '../../workers/stream/stream.ts';
import type { Wish } from '../../workers/view/messages.ts';
import { encoderWish } from '../encode/choice.ts';
import { checkScenario, memoryBudget, parseMaxRefresh, parsePath, parseRate, parseResolution, scenario } from '../scenarios.ts';
import { UsageError } from './command.ts';
import { contentFlag } from './content-flag.ts';
import { choiceFlag, HELP_FLAG, integerFlag } from './flags.ts';

/** Flags of the guest that browsers are shown, and of where and how long. */
export const SHOWN_GUEST_FLAGS = {
  path: { type: 'string', default: 'udmabuf' },
  resolution: { type: 'string', default: '720p' },
  rate: { type: 'string', default: '60' },
  layout: { type: 'string', default: '64k' },
  content: { type: 'string' },
  'max-refresh': { type: 'string', default: '30' },
  encoder: { type: 'string' },
  heads: { type: 'string', default: '1' },
  buffers: { type: 'string', default: '2' },
  seconds: { type: 'string', default: '0' },
  port: { type: 'string', default: '0' },
  help: HELP_FLAG,
} as const;

type Values = Wish & {
  readonly content?: string;
  readonly 'max-refresh': string;
  readonly encoder?: string;
  readonly heads: string;
  readonly buffers: string;
  readonly seconds: string;
  readonly port: string;
};

/** What of a guest stays while its path, size, rate and layout may change. */
export interface GuestSetup {
  readonly maxRefreshHz: number | null;
  /** What refuses a size that is wished for later leaves it to software. */
  readonly encoder: EncoderName;
  readonly heads: number;
  readonly buffers: number;
  /** In the place of the test card. */
  readonly content?: Content;
}

/** What the flags say. */
export interface ShownGuest {
  readonly wish: Wish;
  /** As if there were no hardware: that is tried when the size is known. */
  readonly setup: GuestSetup;
  readonly encoder: EncoderWish | undefined;
  readonly seconds: number;
  readonly port: number;
}

/** @throws UsageError, ScenarioError what is wrong with a flag, or missing here to show anything */
export async function shownGuest(values: Values): Promise<ShownGuest> {
  const { path, resolution, rate, layout } = values;
  const encoder = encoderWish(values.encoder);
  const setup = {
    encoder: 'software' as const,
    maxRefreshHz: parseMaxRefresh(values['max-refresh']),
    heads: integerFlag('heads', values.heads, 1, 16),
    buffers: integerFlag('buffers', values.buffers, 1, 16),
    ...(await contentFlag(values.content)),
  };
  const seconds = integerFlag('seconds', values.seconds, 0, 1_000_000);
  const port = integerFlag('port', values.port, 0, 65_535);
  const missing = whyNoStream();
  if (missing !== null) throw new UsageError(missing);
  return { wish: { path, resolution, rate, layout }, setup, encoder, seconds, port };
}

/** A wish's machine. @throws ScenarioError, UsageError why it cannot be had */
export function guestOptions(wish: Wish, setup: GuestSetup, more: Partial<MachineOptions> = {}): MachineOptions {
  const { path, resolution, rate, layout } = wish;
  const { options } = scenario({
    ...parseResolution(resolution),
    path: parsePath(path),
    rateHz: parseRate(rate),
    layout: choiceFlag('layout', layout, PAGE_LAYOUTS),
    ...setup,
    ...more,
    sink: 'encode',
    card: true,
    // Scattered pages of files can be read as one range.
    memory: typeof Libc.load() === 'string' ? 'shared' : 'memfd',
  });
  checkScenario({ id: `${path} at ${resolution}`, options }, memoryBudget());
  return options;
}
