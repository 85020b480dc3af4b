/** Which hardware encodes here: found out by having it encode a frame. */
import { execFile } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type EncoderName, HARDWARE, type Hardware } from '../../core/machine/options.ts';
import { deviceNodes, noNodes } from './hardware-nodes.ts';
import type { HardwareTrial } from './hardware-probe-process.ts';

const ENTRY = fileURLToPath(new URL(`./hardware-probe-process${extname(import.meta.url)}`, import.meta.url));
/** After so long without a frame a driver hangs. */
const TRIAL_MS = 10_000;
/** Of what a library says of itself. */
const MOST_WORDS = 200;

/** What is asked for; `auto`: the first hardware that encodes, else software. */
export const ENCODER_WISHES = ['auto', 'software', ...HARDWARE] as const;
export type EncoderWish = (typeof ENCODER_WISHES)[number];

/** Hardware that was to encode a frame. */
export interface Tried {
  readonly hardware: Hardware;
  /** Of its node, where that is known. */
  readonly device: string | null;
  /** Why it has not; null: it has. */
  readonly why: string | null;
}

export interface EncoderChoice {
  readonly encoder: EncoderName;
  /** In the order in which it was asked; empty: none was. */
  readonly tried: readonly Tried[];
}

export type Probe = (hardware: Hardware, width: number, height: number) => Promise<Tried>;

const TITLES: Readonly<Record<Hardware, string>> = { vaapi: 'VAAPI', nvenc: 'NVENC' };

/** `VAAPI: no /dev/dri/renderD*`, `VAAPI on /dev/dri/renderD128`. */
export function triedWords({ hardware, device, why }: Tried): string {
  if (why !== null) return `${TITLES[hardware]}: ${why}`;
  return device === null ? TITLES[hardware] : `${TITLES[hardware]} on ${device}`;
}

/**
 * The encoder for pictures of a size.
 * @throws Error why the hardware that was asked for cannot encode them
 */
export async function chooseEncoder(
  wish: EncoderWish,
  width: number,
  height: number,
  probe: Probe = probeHardware,
): Promise<EncoderChoice> {
  if (wish === 'software') return { encoder: 'software', tried: [] };
  const tried: Tried[] = [];
  for (const hardware of wish === 'auto' ? HARDWARE : [wish]) {
    const one = await probe(hardware, width, height);
    tried.push(one);
    if (one.why === null) return { encoder: hardware, tried };
  }
  if (wish === 'auto') return { encoder: 'software', tried };
  throw new Error(`${tried.map(triedWords).join('; ')}. Leave --encoder out, and software encodes`);
}

/** What this process has asked, by hardware and size: it asks once. */
const asked = new Map<string, Tried>();
const keyOf = (hardware: Hardware, width: number, height: number): string => `${hardware} ${width}x${height}`;

/** Has it encode one frame of that size. Where no device node is there nothing is started. */
export async function probeHardware(hardware: Hardware, width: number, height: number): Promise<Tried> {
  const key = keyOf(hardware, width, height);
  const known = asked.get(key);
  if (known !== undefined) return known;
  const isThere = deviceNodes(hardware).length > 0;
  const tried = isThere ? await tryHardware(hardware, width, height) : { hardware, device: null, why: noNodes(hardware) };
  asked.set(key, tried);
  return tried;
}

/** What has become of the hardware that this process has asked for a size, so far. */
export function hardwareTried(width: number, height: number): Tried[] {
  return HARDWARE.flatMap((hardware) => asked.get(keyOf(hardware, width, height)) ?? []);
}

/**
 * In a process of its own: a driver that crashes, or hangs, is then a message.
 * @param program what is run; replaced by tests, as the time is
 */
export function tryHardware(
  hardware: Hardware,
  width: number,
  height: number,
  program: readonly [string, ...string[]] = [process.execPath, ENTRY],
  trialMs = TRIAL_MS,
): Promise<Tried> {
  const [file, ...args] = program;
  const { SCANOUT_REEXECUTED: _, NODE_OPTIONS: __, ...env } = process.env;
  const options = { env, timeout: trialMs, killSignal: 'SIGKILL' } as const;
  return new Promise((resolve) => {
    execFile(file, [...args, hardware, String(width), String(height)], options, (error, stdout, stderr) => {
      const trial = trialOf(stdout);
      if (trial?.why === null) resolve({ hardware, device: trial.device, why: null });
      else if (trial !== null) resolve({ hardware, device: null, why: [trial.why, libraryWords(stderr)].filter(Boolean).join(': ') });
      else resolve({ hardware, device: null, why: endWords(error, trialMs) });
    });
  });
}

/** Its last line; null: it has not come so far. */
function trialOf(stdout: string): HardwareTrial | null {
  try {
    return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as HardwareTrial;
  } catch {
    return null;
  }
}

function endWords(error: (Error & { killed?: boolean; signal?: string | null; code?: unknown }) | null, trialMs: number): string {
  if (error?.killed) return `no frame after ${trialMs / 1000} s`;
  if (error?.signal) return `its driver has ended the trial by ${error.signal}`;
  return `the trial has ended without a word${error === null ? '' : ` (${String(error.code)})`}`;
}

/** FFmpeg asks for it in vain where there is no X11, whatever the reason is. */
const NO_REASON = 'libva-x11';

/** The first thing that FFmpeg, or the driver, said; empty: nothing. */
function libraryWords(stderr: string): string {
  const lines = stderr.split('\n').map((line) => line.replace(/^\[[^\]]*\]\s*/, '').trim());
  const first = lines.find((line) => line !== '' && !line.includes(NO_REASON)) ?? '';
  return first.replace(/\.$/, '').slice(0, MOST_WORDS);
}
