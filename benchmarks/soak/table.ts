/** The text of `scanout soak`, at most 80 columns wide. */
import { PATHS } from '../../core/machine/options.ts';
import { grouped, plain } from '../../reports/format.ts';
import type { SoakDocument, SoakRound } from './document.ts';
import { SERIES } from './flatness.ts';
import { added, amount, type SoakProgress } from './soak.ts';

const WIDTH = 80;

/** What follows the seconds in the line of progress; 79 columns with them for an hour's soak. */
export function progressText({ frames, torn, events, moves, rssBytes }: SoakProgress): string {
  const { resize, unplug, plug, layout } = events;
  const mib = Math.round(rssBytes / 2 ** 20);
  const counts = `size ${short(resize)} plug ${short(unplug + plug)} new ${short(layout)} move ${short(moves)}`;
  return `${short(frames)} frames, ${short(torn)} torn, ${mib} MiB, ${counts}`;
}

/** At most four characters: `9999`, `123k`, `45M`. */
function short(count: number): string {
  if (count < 10_000) return String(count);
  return count < 1e6 ? `${Math.floor(count / 1e3)}k` : `${Math.floor(count / 1e6)}M`;
}

export function soakText(document: SoakDocument): string {
  const { rounds } = document;
  const minutes = Math.round(document.elapsed / 6) / 10;
  const lines = [
    ...wrapped(
      `Soak of ${minutes} min, seed ${document.seed}: ${rounds.length} machines one after the other, Node ${document.environment.node}${document.partial ? '; stopped early' : ''}`,
    ),
    '',
    row(['path', 'rounds', 'frames', 'torn', 'sizes', 'plugs', 'layouts', 'moves', 'copied']),
  ];
  for (const path of PATHS) {
    const of = rounds.filter(({ options }) => options.path === path);
    if (of.length > 0) lines.push(pathRow(path, of));
  }
  lines.push(pathRow('all', rounds), '', ...faultLines(rounds));
  if (document.memory.some(({ samples }) => samples > 0)) {
    const [{ samples, warmUp }] = document.memory;
    lines.push(`Held after each round and a full collection (${samples} samples, ${warmUp} before them left out):`);
    lines.push(memoryRow('', 'first', 'last', 'growth [95%]', 'bound'));
    for (const { series, unit, first, last, growth, bound } of document.memory) {
      const words = SERIES.find(({ name }) => name === series)?.words ?? series;
      const grown =
        growth === null
          ? 'not judged'
          : `${amount(growth.estimate, unit)} [${amount(growth.low, unit)}, ${amount(growth.high, unit)}]`.replaceAll(
              / [MG]iB(?=[,\]])/g,
              '',
            );
      lines.push(memoryRow(words, amount(first, unit), amount(last, unit), grown, amount(bound, unit)));
    }
    lines.push('');
  }
  for (const { name, status, detail } of document.checks) {
    if (status !== 'inconclusive') lines.push(...wrapped(`${status === 'pass' ? 'ok' : 'FAILED'}: ${name} (${plain(detail)})`));
  }
  const open = document.checks.filter(({ status }) => status === 'inconclusive');
  if (open.length > 0) lines.push(...wrapped(`not judged: ${open.map(({ name }) => name).join('; ')} (${plain(open[0].detail)})`));
  return `${lines.join('\n')}\n`;
}

function pathRow(name: string, rounds: readonly SoakRound[]): string {
  const sum = (of: (round: SoakRound) => number): number => rounds.reduce((total, round) => total + of(round), 0);
  const events = rounds.reduce((total, round) => added(total, round.events), { resize: 0, unplug: 0, plug: 0, layout: 0 });
  return row([
    name,
    grouped(rounds.length),
    grouped(sum(({ presented }) => presented)),
    grouped(sum(({ torn }) => torn)),
    grouped(events.resize),
    grouped(events.unplug + events.plug),
    grouped(events.layout),
    grouped(sum(({ moves }) => moves)),
    grouped(sum(({ fallbacks }) => fallbacks)),
  ]);
}

function row(cells: readonly string[]): string {
  const [name, ...rest] = cells;
  return `${name.padEnd(13)}${rest.map((cell, i) => cell.padStart(i === 1 ? 11 : 8)).join('')}`.trimEnd();
}

function faultLines(rounds: readonly SoakRound[]): string[] {
  const counts = new Map<string, number>();
  for (const { faults } of rounds) for (const fault of faults) counts.set(fault, (counts.get(fault) ?? 0) + 1);
  if (counts.size === 0) return [];
  const words = [...counts].sort().map(([fault, count]) => (count === 1 ? fault : `${fault} ×${count}`));
  return [...wrapped(`Faults injected: ${words.join(', ')}`), ''];
}

function memoryRow(name: string, first: string, last: string, growth: string, bound: string): string {
  return `  ${name.padEnd(17)}${first.padStart(11)}${last.padStart(11)}  ${growth.padEnd(28)}${bound.padStart(9)}`;
}

function wrapped(text: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line.trim() !== '' && line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = ' ';
    }
    line += line === '' ? word : ` ${word}`;
  }
  return [...lines, line].map((each) => each.slice(0, WIDTH));
}
