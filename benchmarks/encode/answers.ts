import { COPIES } from '../../core/machine/options.ts';
import { CONCLUSIVE_PAIRS } from '../../reports/encode-gains.ts';
import type { PathGain, Scenario as ScenarioRecord } from '../../reports/run-document.ts';
import { resolutionName } from '../scenarios.ts';
import type { Studied } from '../study.ts';
import { encodeGain, predictedFps } from './gains.ts';

/** A thread or machine that works so much of the time has no room left. */
const FULL = 0.85;
/** What importing is held against. */
const COPYING = ['copy', 'readback-copy'] as const;

/** Each path that copies nothing over each that copies, at each size that both were measured at. */
export function pathGains(all: readonly Studied[], cpus: number): PathGain[] {
  return all.flatMap(({ record: one }) => (COPIES[one.path] > 0 ? [] : COPYING.flatMap((over) => gainOver(one, over, all, cpus))));
}

function gainOver(one: ScenarioRecord, over: PathGain['over'], all: readonly Studied[], cpus: number): PathGain[] {
  const other = all.find(({ record }) => record.path === over && record.width === one.width && record.height === one.height)?.record;
  const ratio = other === undefined ? null : encodeGain(one, other);
  const copied = other?.results.encode;
  if (other === undefined || ratio === null || copied === undefined) return [];
  const [expected, beside] = [predictedFps(one, cpus), predictedFps(other, cpus)];
  const encoding = copied.conversionCpuUs + copied.encodingCpuUs;
  return [
    {
      size: resolutionName(one.width, one.height),
      path: one.path,
      over,
      ratio,
      predicted: expected === null || beside === null ? null : expected / beside,
      copiesShare: encoding === 0 ? null : copied.transferUs / encoding,
    },
  ];
}

/** Whether there is a gain beyond noise, and where; and what bounds the frames a second. Empty where nothing was encoded. */
export function conclusions(all: readonly Studied[], gains: readonly PathGain[], cpus: number): string[] {
  return [...gainSentences(gains), ...placeSentences(all, cpus)];
}

/** By the whole interval: above 1 frames come faster, below 1 more slowly. */
function gainSentences(gains: readonly PathGain[]): string[] {
  if (gains.length === 0) return [];
  const judged = gains.filter(({ ratio }) => (ratio.pairs ?? 0) >= CONCLUSIVE_PAIRS);
  if (judged.length === 0) return [`Too few pairs to tell a gain from noise: ${CONCLUSIVE_PAIRS} a comparison are needed.`];
  const more = judged.filter(({ ratio }) => ratio.low > 1);
  const fewer = judged.filter(({ ratio }) => ratio.high < 1);
  const sizes = [...new Set(judged.map(({ size }) => size))];
  const sentences = [
    more.length === 0
      ? `An encoder gets no more frames a second by importing than by copying, beyond noise (the whole interval above 1): in none of ${judged.length} comparisons.`
      : `An encoder gets more frames a second by importing than by copying, beyond noise (the whole interval above 1): ${sizes.map((size) => placeWords(size, more, judged)).join('; ')}.`,
  ];
  if (fewer.length > 0)
    sentences.push(
      `Fewer, beyond noise: ${sizes.flatMap((size) => (isAt(size, fewer) ? placeWords(size, fewer, judged) : [])).join('; ')}.`,
    );
  return sentences;
}

const isAt = (size: string, gains: readonly PathGain[]): boolean => gains.some((gain) => gain.size === size);

/** `at 720p in 2 of 4 comparisons, 1.11 to 1.12 times`. */
function placeWords(size: string, found: readonly PathGain[], judged: readonly PathGain[]): string {
  const of = judged.filter((gain) => gain.size === size).length;
  const times = found.filter((gain) => gain.size === size).map(({ ratio }) => ratio.median);
  if (times.length === 0) return `at ${size} in none of ${of}`;
  const [least, most] = [Math.min(...times).toFixed(2), Math.max(...times).toFixed(2)];
  return `at ${size} in ${times.length} of ${of}, ${least === most ? least : `${least} to ${most}`} times`;
}

/** Where the CPU times of the frames leave no room: on the one thread that encodes, or on the machine's CPUs, which all threads share. */
function placeSentences(all: readonly Studied[], cpus: number): string[] {
  const encoded = all.flatMap(({ record }) => {
    const { results } = record;
    const { encode } = results;
    if (encode === undefined || predictedFps(record, cpus) === null) return [];
    const ownUs = encode.gatherCpuUs + encode.conversionCpuUs + encode.encodingCpuUs;
    const allUs = ownUs + results.hostCpuUsPerFrame + results.guestCpuUsPerFrame;
    return [{ thread: busyShare(ownUs, encode.fps), machine: busyShare(allUs / cpus, encode.fps) }];
  });
  const of = (count: number): string => `${count} of ${encoded.length} ${encoded.length === 1 ? 'scenario' : 'scenarios'}`;
  const onThread = encoded
    .filter(({ thread, machine }) => thread >= FULL && thread >= machine)
    .map(({ thread }) => Math.round(100 * thread));
  const onMachine = encoded.filter(({ thread, machine }) => machine >= FULL && machine > thread).length;
  const waiting = encoded.length - onThread.length - onMachine;
  const [least, most] = [Math.min(...onThread), Math.max(...onThread)];
  const sentences: string[] = [];
  if (onThread.length > 0)
    sentences.push(
      `The narrowest place is the encode thread in ${of(onThread.length)}: it works ${least === most ? '' : `${least} to `}${most}% of the time, while other threads make the copies.`,
    );
  if (onMachine > 0)
    sentences.push(`In ${of(onMachine)} it is the machine's ${cpus === 1 ? 'CPU' : `${cpus} CPUs`}, which all threads share and use up.`);
  if (waiting > 0)
    sentences.push(`In ${of(waiting)} no CPU time bounds the frames a second: threads waited, for each other or for other programs.`);
  return sentences;
}

/** Part of the time that work of so many µs a frame takes, in [0, 1]: the figures' windows differ by a frame. */
const busyShare = (us: number, fps: number): number => Math.min(1, (us * fps) / 1e6);
