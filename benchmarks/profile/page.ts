import { compact, duration, grouped } from '../../reports/format.ts';
import { html, type Markup, raw } from '../../reports/html/escape.ts';
import { dataTable } from '../../reports/html/figure.ts';
import { scrolled } from '../../reports/html/scrolled.ts';
import { STYLE } from '../../reports/html/style.ts';
import { type Call, callTree, type FunctionTime, functionTimes, KIND_WORDS, KINDS, type Kind, placeOf } from './call-tree.ts';
import type { Difference } from './diff.ts';
import { drawFlame } from './flame.ts';
import type { ScenarioProfile, ThreadProfile } from './record.ts';
import { sampledSplit, splitOf } from './split.ts';
import { memoryWords } from './text.ts';

/** Functions in a thread's table. */
const FUNCTIONS = 30;

const FLAME_STYLE = `
:root{--f-work:#b9d3f2;--f-copy:#f4b8a0;--f-spin:#f2dda3;--f-sleep:#dcdbd4;--f-collection:#e9b4cf;--f-other:#efeee8;--f-ink:#0b0b0b;--f-line:#55544f}
@media (prefers-color-scheme:dark){:root{--f-work:#1f4a7d;--f-copy:#7c3416;--f-spin:#5e4a0b;--f-sleep:#3a3a37;--f-collection:#6b2f4c;--f-other:#262624;--f-ink:#fff;--f-line:#b5b4ac}}
main>figure.wide{max-width:none}
svg.flame{min-width:900px;max-width:none}
svg.flame text{font:11px ui-monospace,SFMono-Regular,Menlo,monospace;fill:var(--f-ink);pointer-events:none}
svg.flame text.lane{font:600 13px system-ui,sans-serif;fill:var(--ink)}
svg.flame .texture{stroke:var(--f-line);stroke-width:1;fill:none;opacity:.55}
svg.flame text.on{paint-order:stroke;stroke-width:3px;stroke-linejoin:round}
${KINDS.map((kind) => `.flame rect.${kind},.key i.${kind}{fill:var(--f-${kind});background-color:var(--f-${kind})}.flame text.${kind}{stroke:var(--f-${kind})}`).join('\n')}
.flame rect.mark{stroke:var(--f-line);stroke-width:.5}.flame g:hover > rect.mark{stroke:var(--ink);stroke-width:1.2}
.key{list-style:none;padding:0;margin:8px 0;display:flex;flex-wrap:wrap;gap:4px 18px;font-size:13px}
.key i{display:inline-block;width:22px;height:12px;margin-right:6px;vertical-align:-1px;border:1px solid var(--f-line)}
.key i.copy{background-image:repeating-linear-gradient(0deg,transparent 0 2px,var(--f-line) 2px 3px,transparent 3px 5px)}
.key i.spin{background-image:repeating-linear-gradient(135deg,var(--f-line) 0 1px,transparent 1px 5px)}
.key i.sleep{background-image:radial-gradient(var(--f-line) 1px,transparent 1.3px);background-size:6px 6px}
.key i.collection{background-image:repeating-linear-gradient(90deg,transparent 0 3px,var(--f-line) 3px 4px,transparent 4px 6px)}
@media print{svg.flame{min-width:0}:root{--f-work:#b9d3f2;--f-copy:#f4b8a0;--f-spin:#f2dda3;--f-sleep:#dcdbd4;--f-collection:#e9b4cf;--f-other:#efeee8;--f-ink:#0b0b0b;--f-line:#55544f}}
`;

/** The profile as one HTML file without script that needs no network and no other file. */
export function renderProfile(profile: ScenarioProfile, difference: Difference | null, command: string): string {
  const { scenario, frames, guest, host } = profile;
  const threads = [guest, host].map((thread) => ({ thread, tree: callTree(thread.cpu, thread.thread) }));
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,">
<title>scanout profile: ${scenario}</title>
<style>${raw(STYLE)}${raw(FLAME_STYLE)}</style>
</head>
<body>
<header>
<h1>Where the time of ${scenario} goes</h1>
<p class="soft">${grouped(frames)} frames in ${duration(guest.wallUs)}, Node ${process.versions.node}, V8 ${process.versions.v8}. A profiled run is slower than a measured one: shares count, not times.</p>
</header>
<main>
${difference === null ? '' : differenceSection(difference)}
<h2>Compute, spinning, asleep</h2>
${splitTable(threads)}
<p class="soft">Counters time each spin and sleep; compute is the rest, waiting for a CPU included. Samples are of the CPU profile below; of the turn that ends a spin they take all but the copying for spinning.</p>
<h2>Both threads</h2>
<figure class="wide"><figcaption>Calls of the guest and the host thread, as wide as their time</figcaption>
${legend()}
<p class="hint chart" aria-hidden="true">Scroll sideways for the whole chart →</p><div class="scroll" role="region" aria-label="Flame view" tabindex="0">${drawFlame(
    threads.map(({ tree }) => tree),
    'flame',
    `Flame view of ${scenario}`,
  )}</div>
<p class="soft">Calls narrower than a pixel are left out; guest.cpuprofile and host.cpuprofile have all, for DevTools, speedscope and the like.</p>
</figure>
${threads.map(({ thread, tree }) => threadSection(thread, tree, frames))}
<h2>Repeat with</h2>
<pre id="command">${command}</pre>
</main>
</body>
</html>
`;
  return page.text;
}

const percent = (part: number, whole: number): string => `${(whole > 0 ? (part / whole) * 100 : 0).toFixed(1)}%`;

function legend(): Markup {
  return html`<ul class="key">${KINDS.map((kind: Kind) => html`<li><i class="${kind}"></i>${KIND_WORDS[kind]}</li>`)}</ul>`;
}

function splitTable(threads: readonly { thread: ThreadProfile; tree: Call }[]): Markup {
  const rows = threads.flatMap(({ thread, tree }) => {
    const counted = splitOf(thread);
    const sampled = sampledSplit(tree);
    const shares = ({ computeUs, spinUs, sleepUs }: typeof counted, of: number): string[] =>
      [computeUs, spinUs, sleepUs].map((us) => percent(us, of));
    const waited = thread.runQueueWaitUs === null ? 'unavailable' : percent(thread.runQueueWaitUs, thread.wallUs);
    return [
      [`${thread.thread}, by counters`, ...shares(counted, thread.wallUs), percent(thread.cpuUs, thread.wallUs), waited],
      [`${thread.thread}, by ${grouped(thread.cpu.samples.length)} samples`, ...shares(sampled, tree.totalUs), '', ''],
    ];
  });
  return table(['thread', 'compute', 'spinning', 'asleep', 'CPU time', 'waited for a CPU'], rows);
}

function threadSection(thread: ThreadProfile, tree: Call, frames: number): Markup {
  const functions = functionTimes(tree);
  const shown = functions.slice(0, FUNCTIONS);
  const cells = ({ name, file, line, kind, selfUs, samples }: FunctionTime): string[] => [
    name,
    placeOf({ file, line }),
    KIND_WORDS[kind],
    percent(selfUs, tree.totalUs),
    frames > 0 ? compact(selfUs / frames) : '-',
    grouped(samples),
  ];
  const sites = thread.heapSites.slice(0, 15).map(({ name, place, bytes }) => [name, place, grouped(bytes)]);
  return html`<h2>${thread.thread === 'guest' ? 'Guest' : 'Host'} thread</h2>
<p>Memory: ${memoryWords(thread, frames)}.</p>
${table(['function', 'where', 'what', 'own time', 'µs a frame', 'samples'], shown.map(cells), 3)}
${functions.length > shown.length ? html`<p class="soft">${grouped(functions.length - shown.length)} more functions.</p>` : ''}
${
  sites.length === 0
    ? ''
    : html`<h3>What allocated</h3>
${table(['function', 'where', 'bytes, sampled'], sites, 2)}
<p class="soft">Of a run of its own, about one sample in 512 bytes; what the measuring itself allocates is among it.</p>`
}
`;
}

function differenceSection({ base, beforeUs, nowUs, changes }: Difference): Markup {
  const rows = changes.map(({ thread, name, file, beforeUs: was, nowUs: is, changeUs, noiseUs }) => [
    `${thread}: ${name}`,
    file,
    was === null ? '-' : compact(was),
    is === null ? '-' : compact(is),
    `${changeUs > 0 ? '+' : '−'}${compact(Math.abs(changeUs))} ± ${compact(noiseUs)}`,
  ]);
  return html`<h2>What changed</h2>
<p>Against ${base}: ${compact(beforeUs)} to ${compact(nowUs)} µs of sampled work a frame, waiting left out.</p>
${rows.length === 0 ? html`<p>No function changed beyond the noise of the samples.</p>` : table(['function', 'where', 'before, µs a frame', 'now', 'change'], rows, 2)}
<p class="soft">Own time, sampled, of one run each; ± is what the number of samples leaves open (99.7%). It says where to look; a comparison judges.</p>`;
}

/** @param words how many of the columns, from the first, are words */
function table(heads: readonly string[], rows: readonly (readonly string[])[], words = 1): Markup {
  return scrolled(dataTable(heads, rows, words));
}
