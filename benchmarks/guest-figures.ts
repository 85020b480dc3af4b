import { wantedFeatures } from '../core/machine/guest-machine.ts';
import { pathUsesBlob } from '../core/machine/options.ts';
import type { MachinePlan } from '../core/machine/plan.ts';
import { Counter, Counters } from '../core/measure/counters.ts';
import { Feature } from '../core/protocol/constants.ts';
import type { GuestReport } from '../workers/task.ts';
import { DisplayCount } from '../workers/vhost-user/gpu-socket.ts';
import type { BackEndOffer } from '../workers/vhost-user/guest-connect.ts';
import { type GuestMeter, timeText } from './guest-meter.ts';
import { resolutionName } from './scenarios.ts';

/** What the display at a GPU socket has seen. */
export interface DisplayCounts {
  get(count: (typeof DisplayCount)[keyof typeof DisplayCount]): number;
}

/** A guest that has run against a back end, and what measured it. */
export interface GuestRun {
  readonly offer: BackEndOffer;
  readonly plan: MachinePlan;
  readonly meter: GuestMeter;
  /** null: the back end was given no GPU socket. */
  readonly server: DisplayCounts | null;
}

export type GuestFigures = ReturnType<typeof guestFigures>;

const FEATURE_NAMES = ['EDID', 'RESOURCE_BLOB', 'INDIRECT_DESC', 'EVENT_IDX', 'VERSION_1', 'RING_PACKED', 'IN_ORDER'] as const;

/** Whether feature bits have one of them. */
export const hasFeature = ({ lo, hi }: { readonly lo: number; readonly hi: number }, bit: number): boolean =>
  (((bit < 32 ? lo : hi) >>> (bit % 32)) & 1) === 1;

/** What `scanout guest` says of a run, as its JSON has it. Times in µs, null without frames. */
export function guestFigures({ offer, plan, meter, server }: GuestRun, report: GuestReport) {
  const { path, width, height, rateHz, ring, buffers, heads } = plan.options;
  const wanted = wantedFeatures(plan.options);
  const counters = new Counters(plan.guestCounters);
  const seconds = (report.endNs - report.startNs) / 1e9;
  const { p50, p99 } = meter.answers(report);
  return {
    backEnd: offer.isQemu ? ('libvhost-user' as const) : ('other' as const),
    features: FEATURE_NAMES.filter((name) => hasFeature(offer, Feature[name]) && hasFeature(wanted, Feature[name])),
    ...{ path, width, height, rateHz, ring, buffers, heads },
    seconds,
    frames: report.frames,
    fps: report.frames / seconds,
    failedFrames: report.failedFrames,
    timedOutFrames: counters.get(Counter.fencesTimedOut),
    // A scanout without a display answers GET_EDID with one, rightly.
    errorResponses: counters.get(Counter.errorResponses) - counters.get(Counter.edidsRefused),
    submitTo: pathUsesBlob(path) ? ('fence' as const) : ('response' as const),
    p50Us: Number.isNaN(p50) ? null : p50,
    p99Us: Number.isNaN(p99) ? null : p99,
    copiedBytes: meter.copiedBytes,
    // Displays that changed meanwhile, what heads did then, and the modes that this guest's memory was not planned for.
    displays: {
      changes: counters.get(Counter.configChanges),
      modeSets: counters.get(Counter.modeSets),
      refused: counters.get(Counter.modesRefused),
    },
    display: server === null ? null : displayFigures(server),
  };
}

const displayFigures = (server: DisplayCounts) => ({
  updates: server.get(DisplayCount.updates),
  bytes: server.get(DisplayCount.bytes),
  verified: server.get(DisplayCount.verified),
  torn: server.get(DisplayCount.torn),
  unordered: server.get(DisplayCount.unordered),
});

/** Whether every command was carried out and every frame that was looked at is right. */
export const isRight = ({ failedFrames, errorResponses, display }: GuestFigures): boolean =>
  failedFrames === 0 && errorResponses === 0 && (display === null || display.torn + display.unordered === 0);

/** The figures in lines of 80 columns at most. */
export function guestTable(figures: GuestFigures): string {
  const { path, width, height, buffers, ring, heads, frames, seconds, fps, p50Us, p99Us, display, displays } = figures;
  const rows: [name: string, text: string][] = [
    ['back end', figures.backEnd === 'libvhost-user' ? 'on libvhost-user, as is vhost-user-gpu of QEMU' : 'not on libvhost-user'],
    ['negotiated', figures.features.join(' ')],
    ['guest', `${path}, ${resolutionName(width, height)}, buffers: ${buffers}, heads: ${heads}, ${ring} ring`],
    ['frames', `${frames} in ${seconds.toFixed(1)} s: ${fps.toFixed(1)} fps${troubles(figures)}`],
  ];
  if (p50Us !== null && p99Us !== null) {
    rows.push([`to ${figures.submitTo}`, `p50 ${timeText(p50Us)}, p99 ${timeText(p99Us)} after the frame's submission`]);
  }
  rows.push(['copied', `${(figures.copiedBytes / 1e6).toFixed(1)} MB by the guest`]);
  if (displays.changes > 0) {
    const refused = displays.refused === 0 ? '' : `, ${displays.refused} refused: larger than --resolution`;
    rows.push(['displays', `changed ${times(displays.changes)}, modes set ${times(displays.modeSets)}${refused}`]);
  }
  if (display !== null) rows.push(['GPU socket', displayText(display)]);
  return rows.map(([name, text]) => `${name.padEnd(13)}${text}\n`).join('');
}

const times = (count: number): string => (count === 1 ? 'once' : `${count} times`);

function troubles({ failedFrames, timedOutFrames, errorResponses }: GuestFigures): string {
  const parts: [number, string][] = [
    [failedFrames, 'failed'],
    [timedOutFrames, 'timed out'],
    [errorResponses, 'errors'],
  ];
  return parts.flatMap(([count, what]) => (count === 0 ? [] : [`, ${count} ${what}`])).join('');
}

function displayText({ updates, bytes, verified, torn, unordered }: ReturnType<typeof displayFigures>): string {
  const came = `${updates} updates, ${(bytes / 1e6).toFixed(1)} MB of pixels`;
  return verified === 0 ? came : `${came}; ${torn} torn, ${unordered} out of order`;
}
