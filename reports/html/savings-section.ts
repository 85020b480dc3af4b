import { compact, counted, duration, grouped } from '../format.ts';
import { REPLACED_PATH } from '../run-document.ts';
import type { Saving } from '../savings.ts';
import { savingsOf } from '../savings.ts';
import type { Group } from '../summary.ts';
import type { Markup } from './escape.ts';
import { html } from './escape.ts';
import { dataTable } from './figure.ts';
import { scrolled } from './scrolled.ts';

/** The savings in three figures that need no knowledge of the paths, and of all groups in a table. */
export function savingsSection(groups: readonly Group[]): Markup {
  const savings = savingsOf(groups);
  const paced = savings.find((saving) => saving.group.rateHz !== null);
  const atMax = savings.filter((saving) => saving.group.rateHz === null);
  const shown = paced ?? atMax[0];
  if (shown === undefined) return html``;
  const rival = atMax.find(({ group }) => group.width === shown.group.width && group.height === shown.group.height) ?? atMax[0];
  const tiles = [
    paced === undefined ? null : coreTile(paced),
    workTile(shown),
    trafficTile(shown),
    rival === undefined ? null : framesTile(rival),
  ];
  return html`<h2>What importing saves</h2>
<p>A copied frame is read and written once more for each copy, by a CPU. An imported frame is shown from where it lies.
Counted: <b>${shown.imported.path}</b> against <b>${REPLACED_PATH}</b>, which it replaces.</p>
<ul class="tiles" id="savings">${tiles.map((tile) => (tile === null ? '' : html`<li><span>${tile.what}</span><strong>${tile.figure}</strong><span>${tile.detail}</span></li>\n`))}</ul>
${savings.some(isDisturbed) ? html`<p class="soft">* disturbed: its times are not to be trusted.</p>` : ''}
<details><summary>Of every size and rate</summary>${scrolled(
    dataTable(
      [
        'size and rate',
        'work a frame',
        `${REPLACED_PATH}`,
        'cores busy',
        REPLACED_PATH,
        'memory GB/s',
        REPLACED_PATH,
        'a second',
        REPLACED_PATH,
        'vblanks missed',
        REPLACED_PATH,
      ],
      savings.map(cells),
    ),
    'wide',
  )}</details>`;
}

interface Tile {
  what: string;
  figure: string;
  detail: string;
}

function isDisturbed({ imported, replaced }: Saving): boolean {
  return imported.results.disturbed || replaced.results.disturbed;
}

function place(saving: Saving): string {
  return saving.group.label + (isDisturbed(saving) ? '*' : '');
}

function coreTile(saving: Saving): Tile {
  const { imported, replaced } = saving.cost;
  const percent = (replaced.cores - imported.cores) * 100;
  return {
    what: `CPU, ${place(saving)}`,
    figure: percent >= 0 ? `${compact(percent)}% of a core free` : `${compact(-percent)}% of a core more`,
    detail: `${compact(imported.cores * 100)}% busy instead of ${compact(replaced.cores * 100)}%`,
  };
}

function workTile(saving: Saving): Tile {
  const { imported, replaced } = saving.cost;
  const less = replaced.workUs - imported.workUs;
  return {
    what: `Work for a frame, ${place(saving)}`,
    figure: `${duration(Math.abs(less))} ${less >= 0 ? 'less' : 'more'}`,
    detail: `${duration(imported.workUs)} instead of ${duration(replaced.workUs)}, guest and host together`,
  };
}

function trafficTile(saving: Saving): Tile {
  const { imported, replaced } = saving.cost;
  const less = replaced.trafficGBps - imported.trafficGBps;
  return {
    what: `Memory traffic, ${place(saving)}`,
    figure: `${Math.abs(less).toFixed(2)} GB/s ${less >= 0 ? 'less' : 'more'}`,
    detail: `${counted(saving.imported.results.copiesPerFrame, 'copy', 'copies')} of a frame instead of ${grouped(saving.replaced.results.copiesPerFrame)}; a copied byte is read and written`,
  };
}

function framesTile(saving: Saving): Tile {
  const { imported, replaced } = saving.cost;
  const times = replaced.fps > 0 ? imported.fps / replaced.fps : 0;
  return {
    what: `Frames, ${place(saving)}`,
    figure: times > 0 ? `${compact(times)} times as many` : 'no figure',
    detail: `${compact(imported.fps)} updates a second instead of ${compact(replaced.fps)}`,
  };
}

function cells(saving: Saving): string[] {
  const { imported, replaced } = saving.cost;
  const missed = ({ results }: Saving['imported']): string => (saving.group.rateHz === null ? '-' : grouped(results.vblanksMissed));
  return [
    place(saving),
    duration(imported.workUs),
    duration(replaced.workUs),
    imported.cores.toFixed(2),
    replaced.cores.toFixed(2),
    imported.trafficGBps.toFixed(2),
    replaced.trafficGBps.toFixed(2),
    compact(imported.fps),
    compact(replaced.fps),
    missed(saving.imported),
    missed(saving.replaced),
  ];
}
