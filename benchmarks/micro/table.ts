/** The table of `scanout micro`, at most 80 columns wide. */
import { plain, ratioWords } from '../../reports/format.ts';
import type { MicroDocument, MicroResult, Spread } from './document.ts';

const WIDTH = 80;
const NAME = 41;

export function microText(document: MicroDocument): string {
  const lines: string[] = [];
  const withLimit = document.benchmarks.filter(({ limit }) => limit !== null);
  const others = document.benchmarks.filter(({ limit }) => limit === null);
  if (withLimit.length > 0) lines.push(...limitTable(withLimit), '');
  if (others.length > 0) lines.push(...plainTable(others), '');
  for (const { name, rings } of others) {
    if (rings.length === 0) continue;
    lines.push(...wrapped(`As fast as ${name}, in turns with it (times, 95% interval):`));
    for (const ring of rings) lines.push(`  ${ring.name.padEnd(NAME)} ${ratioWords(ring)}`);
    lines.push('');
  }
  if (document.engine === 'mitata') lines.push(...counterTable(document.benchmarks), '');
  for (const { name, reason } of document.unavailable) lines.push(...wrapped(`unavailable: ${name}: ${plain(reason)}`));
  for (const { name, reason } of document.failed) lines.push(...wrapped(`failed: ${name}: ${plain(reason)}`));
  lines.push(...wrapped(footer(document)));
  return `${lines.join('\n')}\n`;
}

function limitTable(results: readonly MicroResult[]): string[] {
  const lines = [
    'C / ours: the time of the same ring in C divided by ours, of interleaved pairs:',
    '1 is as fast as C, 0.5 takes twice as long (for round trips too). That C has',
    'sequentially consistent atomics, as JavaScript has; acq-rel: weaker ones.',
  ];
  let group = '';
  for (const { name, median, limit, ratioToLimit, ratioToAcquireRelease } of results) {
    const prefix = name.split('/').slice(0, 2).join('/');
    if (prefix !== group) {
      group = prefix;
      lines.push('', row(`${prefix}/`, 'ns', 'C', 'C / ours [95%]', 'acq-rel'));
    }
    const c = limit?.seqCst ?? null;
    const ratio = ratioToLimit === null ? 'unavailable' : ratioWords(ratioToLimit);
    const weak = ratioToAcquireRelease === null ? '-' : ratioToAcquireRelease.median.toFixed(2);
    lines.push(row(` ${name.slice(prefix.length + 1)}`, ns(median), c === null ? '-' : ns(c.median), ratio, weak));
  }
  return lines;
}

function row(name: string, own: string, c: string, ratio: string, weak: string): string {
  return `${name.padEnd(NAME)} ${own.padStart(5)} ${c.padStart(5)}  ${ratio.padEnd(17)} ${weak.padStart(7)}`;
}

function plainTable(results: readonly MicroResult[]): string[] {
  const lines = [`${'benchmark'.padEnd(NAME)} ${'median'.padStart(7)}  ${'95% interval'.padEnd(15)} unit`];
  for (const result of results) {
    lines.push(`${result.name.padEnd(NAME)} ${ns(result.median).padStart(7)}  ${interval(result).padEnd(15)} ${result.unit}`);
  }
  return lines;
}

function counterTable(results: readonly MicroResult[]): string[] {
  const lines = ['Hardware counters of the calling thread, a call or buffer:'];
  if (results.every(({ counters }) => counters === 'unavailable')) return [...lines, '  unavailable (no PMU, or no right to read it)'];
  for (const { name, counters } of results) {
    const words =
      counters === null || counters === 'unavailable'
        ? 'unavailable'
        : `${ns(counters.cycles)} cycles, ${ns(counters.instructions)} instr., ${counters.cacheMisses.toFixed(2)} misses`;
    lines.push(`  ${name}`, `    ${words}`);
  }
  return lines;
}

function footer({ engine, node, seconds, cpus, benchmarks, interrupted }: MicroDocument): string {
  const pinned = benchmarks.map((result) => result.pinned).filter((value) => value !== null);
  let where = '';
  if ('unavailable' in cpus) where = ` Threads not pinned: ${cpus.unavailable}.`;
  else if (pinned.length > 0) {
    where = pinned.every(Boolean)
      ? ` Threads pinned to CPUs ${cpus.join(' and ')}.`
      : ' Threads not pinned (koffi is absent or was refused).';
  }
  const runs = [...new Set(benchmarks.map((result) => result.runs))].join(' or ');
  const head = `${engine}, Node ${node}, fresh processes (${runs === '' ? 'none' : runs} a benchmark), ${seconds} s each.`;
  return `${head}${where}${interrupted ? ' Interrupted: what is missing was not measured.' : ''}`;
}

function interval({ low, high }: Spread): string {
  return `${ns(low)} … ${ns(high)}`;
}

/** At most five characters: `74.1`, `2140`, `1.2e6`. */
function ns(value: number): string {
  if (value < 99.95) return value.toFixed(1);
  if (value < 99_999.5) return String(Math.round(value));
  return value.toExponential(1).replace('e+', 'e');
}

function wrapped(text: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = ' ';
    }
    line += line === '' || line === ' ' ? word : ` ${word}`;
  }
  return [...lines, line].map((each) => each.slice(0, WIDTH));
}
