import { setTimeout } from 'node:timers/promises';
import { HARDWARE } from '../core/machine/options.ts';
import { MonotonicClock, monotonicNowNs } from '../core/measure/clock.ts';
import { pickCopyKernel } from '../core/memory/copier.ts';
import type { Environment } from '../reports/run-document.ts';
import { probeHardware, type Tried, triedWords } from '../workers/encode/hardware-probe.ts';
import { loadNodeAv } from '../workers/encode/node-av.ts';
import { importsHere } from '../workers/native/imports.ts';
import { type DeviceAccess, udmabufAccess, udmabufLimits } from '../workers/native/udmabuf-device.ts';
import { loadWs } from '../workers/stream/ws-library.ts';
import { maxMapCount, readEnvironment, StealMeter } from './environment.ts';
import { findBrowser, howToGetBrowser } from './glass/find-browser.ts';
import { loadLibc } from './limits/libc.ts';

/** What the doctor looked at, as `scanout doctor --json` prints it. */
export interface Findings {
  environment: Environment;
  copier: { picked: string; measured: { name: string; gigabytesPerSecond: number }[] };
  /** Null: koffi can be loaded; else why not. */
  koffiUnavailable: string | null;
  /** Null: frames can be encoded; else why not. */
  encoderUnavailable: string | null;
  /** Hardware that was to encode a frame of 1280 × 720. */
  encoderHardware: Tried[];
  /** Null: ws can be loaded; else why not. */
  webSocketUnavailable: string | null;
  /** Chromium's or Chrome's program; null: none was found. */
  browser: string | null;
  /** Null: cannot be tried without koffi. */
  memfd: boolean | null;
  udmabuf: { access: DeviceAccess; listLimit: number | null; sizeLimitMb: number | null };
  maxMapCount: number | null;
  /** How the scattered pages of an import, where they are files', become one range. */
  imports: ReturnType<typeof importsHere>;
}

/** One finding: what it is, its value, and what follows from it. */
export interface Fact {
  name: string;
  value: string;
  meaning: string;
}

const WIDTH = 80;
const NAME_WIDTH = 14;
const STEAL_WINDOW_MS = 250;
/** A 3840 × 2160 frame of 4 bytes a pixel. */
const FRAME_4K_BYTES = 3840 * 2160 * 4;
/** Segments of a 4K frame whose pages are all scattered. */
const SCATTERED_4K_PAGES = 8100;

/** Looks at this machine. @returns what `scanout doctor` prints, ended by a newline */
export async function doctor(json: boolean): Promise<string> {
  const findings = await examine();
  const facts = factsOf(findings);
  if (json) return `${JSON.stringify({ ...findings, facts }, null, 2)}\n`;
  return `${facts.flatMap(lines).join('\n')}\n`;
}

export async function examine(): Promise<Findings> {
  const steal = new StealMeter();
  await setTimeout(STEAL_WINDOW_MS);
  const environment = await readEnvironment('', steal);
  const { kernel, measured } = pickCopyKernel(new MonotonicClock(monotonicNowNs()));
  environment.copier = kernel.name;
  const libc = await loadLibc();
  const av = loadNodeAv();
  const ws = loadWs();
  return {
    environment,
    copier: { picked: kernel.name, measured },
    koffiUnavailable: 'value' in libc ? null : libc.unavailable,
    encoderUnavailable: typeof av === 'string' ? av : null,
    encoderHardware: typeof av === 'string' ? [] : await Promise.all(HARDWARE.map((one) => probeHardware(one, 1280, 720))),
    webSocketUnavailable: typeof ws === 'string' ? ws : null,
    browser: findBrowser(),
    memfd: 'value' in libc ? libc.value.hasMemfd() : null,
    udmabuf: { access: udmabufAccess(), ...udmabufLimits() },
    maxMapCount: maxMapCount(),
    imports: importsHere('auto'),
  };
}

export function factsOf(findings: Findings): Fact[] {
  const { environment, copier, udmabuf } = findings;
  const { cores } = environment;
  const picked = copier.measured.find(({ name }) => name === copier.picked)?.gigabytesPerSecond ?? 0;
  const others = copier.measured
    .filter(({ name }) => name !== copier.picked)
    .map(({ name, gigabytesPerSecond }) => `${name} ${gigabytesPerSecond.toFixed(1)}`);
  return [
    fact('cpu', environment.cpu, ''),
    fact(
      'cores',
      String(cores),
      cores >= 3
        ? 'one each for guest and host, and one to spare'
        : cores === 2
          ? 'one each for guest and host; other load disturbs them'
          : 'guest and host share it: latencies show the scheduler',
    ),
    fact('memory', `${gibibytes(environment.memoryBytes)} GiB`, ''),
    fact('system', `${environment.kernel}, ${environment.platform}-${environment.arch}`, ''),
    fact('node', environment.node, ''),
    fact('v8', environment.v8, ''),
    fact(
      'copier',
      `${copier.picked} ${picked.toFixed(1)} GB/s${others.length > 0 ? ` (${others.join(', ')})` : ''}`,
      picked > 0 ? `4K in ${(FRAME_4K_BYTES / picked / 1e6).toFixed(1)} ms` : '',
    ),
    fact(
      'koffi',
      findings.koffiUnavailable === null ? 'yes' : 'no',
      findings.koffiUnavailable === null
        ? 'C memcpy is measured; scanout host can run'
        : `${findings.koffiUnavailable}: no memcpy limit, no scanout host or guest, no suite encode or glass`,
    ),
    fact('encoder', encoderValue(findings), encoderMeaning(findings)),
    fact(
      'stream',
      whyNoStream(findings) === null ? 'yes' : 'no',
      whyNoStream(findings) ?? 'scanout stream and view show frames in browsers',
    ),
    fact(
      'browser',
      findings.browser ?? 'none',
      findings.browser === null ? `the suite glass needs one: ${howToGetBrowser()}` : 'the suite glass has it show a stream',
    ),
    fact(
      'compiler',
      environment.compiler ?? 'none',
      environment.compiler === null ? 'the C ping-pong will be unavailable' : 'the C ping-pong is measured',
    ),
    fact('udmabuf', `/dev/udmabuf ${udmabuf.access}${udmabufParameters(udmabuf)}`, 'not needed, runs have a model of it'),
    fact(
      'memfd',
      findings.memfd === null ? 'unknown' : findings.memfd ? 'yes' : 'no',
      findings.memfd === null
        ? 'it takes koffi to try'
        : findings.memfd
          ? 'memory for other processes: scanout host, scanout guest'
          : 'scanout host and scanout guest need it',
    ),
    fact('imports', `by ${IMPORTS[findings.imports]}`, 'for scattered pages of memory files'),
    fact('max maps', findings.maxMapCount === null ? 'unknown' : String(findings.maxMapCount), mapMeaning(findings.maxMapCount)),
    fact(
      'steal',
      environment.stealPercent === null ? 'unknown' : `${environment.stealPercent.toFixed(1)}% in ${STEAL_WINDOW_MS} ms`,
      (environment.stealPercent ?? 0) > 2 ? 'much: expect disturbed repetitions' : '',
    ),
    fact(
      'load',
      environment.loadAverage.map((load) => load.toFixed(2)).join(' '),
      environment.loadAverage[0] > 0.5 * cores ? 'busy: expect disturbed repetitions' : 'quiet enough to measure',
    ),
  ];
}

const IMPORTS: Readonly<Record<Findings['imports'], string>> = {
  udmabuf: 'udmabuf, the kernel makes them one range',
  remap: 'remap, mremap makes them one range',
  list: 'list, they are read piece by piece',
};

function udmabufParameters({ listLimit, sizeLimitMb }: Findings['udmabuf']): string {
  const limits = [listLimit === null ? '' : `list_limit ${listLimit}`, sizeLimitMb === null ? '' : `size_limit_mb ${sizeLimitMb}`];
  const text = limits.filter(Boolean).join(', ');
  return text && ` (${text})`;
}

function mapMeaning(count: number | null): string {
  if (count === null) return '';
  const frames = Math.floor(count / SCATTERED_4K_PAGES);
  return `enough to map ${frames} scattered 4K frames page by page`;
}

function whyNoStream({ encoderUnavailable, webSocketUnavailable }: Findings): string | null {
  const why = [encoderUnavailable, webSocketUnavailable].filter((one) => one !== null).join('; ');
  return why === '' ? null : `${why}; until then no scanout stream or view`;
}

function encoderValue({ encoderUnavailable, encoderHardware }: Findings): string {
  if (encoderUnavailable !== null) return 'no';
  return ['libx264', ...encoderHardware.filter(({ why }) => why === null).map(triedWords)].join(', ');
}

function encoderMeaning({ encoderUnavailable, encoderHardware }: Findings): string {
  if (encoderUnavailable !== null) return `${encoderUnavailable}; without it there is no --sink encode and no --content`;
  const refused = encoderHardware.filter(({ why }) => why !== null).map(triedWords);
  const used = refused.length === encoderHardware.length ? 'frames are encoded by software' : '--encoder auto takes it';
  return [used, ...refused].join('; ');
}

function gibibytes(bytes: number): string {
  return (bytes / 2 ** 30).toFixed(1);
}

function fact(name: string, value: string, meaning: string): Fact {
  return { name, value, meaning };
}

/** A fact in lines of at most 80 columns, the second and later ones indented. */
export function lines({ name, value, meaning }: Fact): string[] {
  const words = (meaning === '' ? value : `${value}; ${meaning}`).split(/\s+/);
  const result: string[] = [];
  let line = name.padEnd(NAME_WIDTH);
  let empty = true;
  for (const word of words) {
    if (!empty && line.length + 1 + word.length > WIDTH) {
      result.push(line);
      line = ' '.repeat(NAME_WIDTH);
      empty = true;
    }
    line += (empty ? '' : ' ') + word;
    empty = false;
    // A word longer than a line is cut: nothing here is worth a broken table.
    if (line.length > WIDTH) line = `${line.slice(0, WIDTH - 1)}…`;
  }
  result.push(line);
  return result;
}
