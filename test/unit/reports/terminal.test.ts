import { describe, expect, test } from 'vitest';
import type { Check, RunDocument, Scenario } from '../../../reports/index.ts';
import { NOT_REACHED, renderHtml, renderMarkdown, renderTerminal } from '../../../reports/index.ts';
import { escapeMarkdown } from '../../../reports/markdown.ts';
import { wrap } from '../../../reports/terminal.ts';
import { buildRun, buildScenario, hostWork, withHistograms } from '../../support/run-document.ts';

/** Lines as one text, for sentences that were wrapped. */
function unwrapped(text: string): string {
  return text.replaceAll(/\s+/g, ' ');
}

function troubled(): RunDocument {
  const run = buildRun({ partial: true, partialReason: 'stopped by Ctrl-C' });
  const results = run.scenarios[3].results;
  Object.assign(results, {
    disturbed: true,
    framesTorn: 3,
    framesTimedOut: 1,
    errorResponses: 2,
    fps: 123_456_789.123,
    vblanksMissed: 1_234_567,
    hostServiceUs: { mean: 98_765_432, p50: 1, p90: 1, p99: 1 },
    guestServiceUs: { mean: 98_765_432, p50: 1, p90: 1, p99: 1 },
    fallback: { reason: `udmabuf list_limit 1024 is less than 8100 entries ${'and so on '.repeat(20)}` },
  });
  results.latencyUs.submitToPresent = { p50: 12_345_678, p90: 1, p99: 23_456_789, p999: 1, max: 1 };
  run.scenarios[4].workerFailures.push('the host worker ended with code 0 and no result');
  run.checks[0].status = 'fail';
  run.checks.push({ name: 'x'.repeat(100), status: 'inconclusive', detail: 'too disturbed' });
  run.command = `scanout run ${'--scenario path=udmabuf,resolution=4k '.repeat(6)}`;
  run.environment.cpu = 'A very long processor name '.repeat(8);
  run.limits = {
    ...run.limits,
    memcpyGBps: null,
    jsCopyToMemcpyRatio: null,
    unavailable: { memcpyGBps: 'koffi could not be loaded: '.repeat(5) },
  };
  run.skipped.push({ id: 'vfio-8k-max', reason: 'larger than the memory budget' });
  run.scenarios.push({ ...buildScenario({ path: 'copy', width: 12345, height: 54321 }), ring: 'packed' });
  run.scenarios.push({ ...buildScenario({ path: 'copy', width: 12345, height: 54321 }), renderer: 'paint', id: 'other' });
  return run;
}

describe('the terminal report', () => {
  test('begins with the verdict of the largest paced size', () => {
    const text = renderTerminal(buildRun());
    expect(text).toMatch(/^4K at 60 Hz: udmabuf 0 copies, 0\.0 GB\/s, host 6 µs a frame/);
    expect(unwrapped(text)).toContain('readback-blob 1 copy, 1.99 GB/s');
    expect(unwrapped(text)).toContain(
      'udmabuf saves 1.99 GB/s of copying and 4.0 ms of guest and host work a frame against readback-blob, which it replaces.',
    );
  });

  test('says whether the run is valid: under the verdict, or above it where something speaks against the run', () => {
    expect(renderTerminal(buildRun())).toMatch(/which it\s+replaces\.\n✓ Valid run: 3 of 3 checks passed\.\n/);
    const failed = renderTerminal(buildRun({ checks: [{ name: 'a', status: 'fail', detail: 'b' }] }));
    expect(failed).toMatch(/^✗ Not to be believed: 1 check makes the run invalid; 0 of 1 check passed\.\n\n4K at 60 Hz: /);
    expect(renderMarkdown(buildRun())).toMatch(/^# scanout\n\n✓ \*\*Valid run:\*\* 3 of 3 checks passed\.\n/);
    expect(renderMarkdown(troubled())).toMatch(/^# scanout\n\n✗ \*\*Not to be believed:\*\* 1 check makes/);
  });

  test('has the verdicts and savings of the HTML report, word for word', () => {
    const words = (markup: string): string => unwrapped(markup.replaceAll(/<[^>]*>/g, ' ').replaceAll('&#39;', "'"));
    const html = renderHtml(buildRun());
    const text = unwrapped(renderTerminal(buildRun()));
    const items = [...html.matchAll(/<li><strong>([^<]*)<\/strong>([^<]*)<\/li>/g)].map(([item]) => words(item).trim());
    expect(items).toHaveLength(4);
    for (const item of items) expect(text).toContain(item);
    const tiles = [...html.matchAll(/<li><span>([^<]*)<\/span><strong>([^<]*)<\/strong><span>([^<]*)</g)];
    expect(tiles).toHaveLength(4);
    for (const [, what, figure, detail] of tiles) expect(text).toContain(`${what}: ${figure} (${detail})`);
    const answers = [...html.matchAll(/<p class="answer">([^<]*)</g)];
    expect(answers.length).toBeGreaterThan(1);
    for (const [, answer] of answers) expect(text).toContain(unwrapped(answer));
  });

  test('has what a manager asks before the first table', () => {
    const text = renderTerminal(buildRun());
    const places = ['Valid run', 'What importing saves', 'From when importing pays', '\npath ', 'Where pixels are copied'].map((words) =>
      text.indexOf(words),
    );
    expect(places).toEqual([...places].sort((a, b) => a - b));
    expect(places).not.toContain(-1);
  });

  test('tells the copies of each path from the ledger, and the stages as shares', () => {
    const text = renderTerminal(buildRun());
    expect(text).toMatch(/^ {2}udmabuf +0 copies +guest RAM, read there by the sink$/m);
    expect(unwrapped(text)).toMatch(
      /readback-copy 2 copies guest GPU memory, copied to guest RAM \(33\.2 MB, guest CPU\), copied to host memory \(33\.2 MB, host CPU\), read there by the sink/,
    );
    const stages = text.slice(text.indexOf("Where a frame's time goes, 4K at max rate")).split('\n');
    expect(stages[1]).toMatch(/^path +render +submit +pickup +transfer +present +release +fence +sum$/);
    const shares = stages[5].split(/ +/);
    expect(shares[0]).toBe('copy');
    expect(shares[7]).toBe('-');
    const sum = shares
      .slice(1, 7)
      .reduce((total, share) => total + Number(share.replace(/<?(\d+)%/, (all, n) => (all.startsWith('<') ? '0' : n))), 0);
    expect(sum).toBeGreaterThan(97);
    expect(sum).toBeLessThan(103);
  });

  test('of a study has no savings but its own answer', () => {
    const study = { question: 'Q?', axis: 'a', measure: 'm', unit: '', series: [], answers: ['Yes.'] };
    expect(renderTerminal(buildRun({ study }))).not.toMatch(/What importing saves|Where pixels|time goes/);
  });

  test.each([
    ['a plain run', buildRun()],
    ['a run with every trouble', troubled()],
    ['an empty run', buildRun({ scenarios: [], checks: [] })],
  ])('%s has no line over 80 columns', (_, run) => {
    for (const line of renderTerminal(run).split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
  });

  test('figures at max rate are updates a second, never frames', () => {
    const run = buildRun();
    run.scenarios = run.scenarios.filter((scenario) => scenario.rateHz === null);
    for (const text of [renderTerminal(run), renderMarkdown(run)]) {
      expect(unwrapped(text)).toContain('updates a second');
      expect(unwrapped(text)).not.toContain('frames a second');
      expect(text).not.toContain('fps');
      expect(text).not.toContain('vblanks');
    }
  });

  test('says plainly that a run is partial, first of all', () => {
    const text = renderTerminal(buildRun({ partial: true, partialReason: 'stopped by Ctrl-C' }));
    expect(text).toMatch(/^Partial run: stopped by Ctrl-C: 20 of 20 scenarios have results\.\n/);
  });

  test('a stopped run counts the scenarios it did not come to and does not list them', () => {
    const run = buildRun({ partial: true, partialReason: 'stopped before its end' });
    run.skipped = run.scenarios.splice(3).map(({ id }) => ({ id, reason: NOT_REACHED }));
    run.skipped.push({ id: 'vfio-8k-max', reason: 'the host worker ended' });
    run.checks.push(...run.skipped.map(({ id, reason }): Check => ({ name: `${id} runs`, status: 'fail', detail: reason })));
    for (const text of [renderTerminal(run), renderMarkdown(run), renderHtml(run)].map(unwrapped)) {
      expect(text).toContain('stopped before its end: 3 of 21 scenarios have results.');
      expect(text).not.toContain('readback-copy-2160p-60hz');
      expect(text).not.toContain('ended before it was measured');
      expect(text.match(/vfio-8k-max/g)).toHaveLength(1);
    }
  });

  test('a whole run that lacks scenarios names them once among the warnings, and fails their checks', () => {
    const run = buildRun({ skipped: ['a', 'b'].map((id) => ({ id, reason: 'no room' })) });
    run.checks.push({ name: 'a runs', status: 'fail', detail: 'no room' });
    const text = renderTerminal(run);
    expect(text).toContain('! No results for a, b: no room');
    expect(text).not.toContain('Check failed');
    expect(text).toContain('  fail          a runs: no room');
  });

  test('disturbed scenarios are named in one line', () => {
    const run = buildRun();
    const disturb = (...indices: number[]): string => {
      for (const i of indices) run.scenarios[i].results.disturbed = true;
      return unwrapped(renderTerminal(run));
    };
    expect(disturb(0, 3)).toContain('times not to be trusted: vfio, copy at 1080p 60 Hz. ');
    expect(disturb(5, 6, 7, 8, 9)).toContain('times not to be trusted: all at 4K 60 Hz; vfio, copy at 1080p 60 Hz. ');
    const all = disturb(...run.scenarios.keys());
    expect(all).toContain('times not to be trusted: all 20 scenarios. ');
    expect(all.match(/trusted/g)).toHaveLength(2);
  });

  test('names disturbed scenarios, torn frames, fallbacks, failed workers and failed checks', () => {
    const text = unwrapped(renderTerminal(troubled()));
    expect(text).toContain('Disturbed (the machine was busy in every repetition), times not to be trusted: copy at 1080p 60 Hz.');
    expect(text).toContain('3 of 45 verified frames were torn');
    expect(text).toContain('1 frame timed out waiting for the fence');
    expect(text).toContain('2 error responses from the host');
    expect(text).toContain('fell back to copying: udmabuf list_limit 1024');
    expect(text).toContain('a worker failed: the host worker ended with code 0 and no result');
    expect(text).toContain('Check failed: no torn frame');
    expect(text).toContain('No results for vfio-8k-max');
    expect(text).toContain('unavailable: koffi could not be loaded');
  });

  test('a worker that fails alike again is named once, with how often', () => {
    const run = buildRun();
    run.scenarios[0].workerFailures = ['no memory', 'lost', 'no memory'];
    const text = unwrapped(renderTerminal(run));
    expect(text).toContain('a worker failed 2 times: no memory');
    expect(text).toContain('a worker failed: lost');
    expect(text.match(/no memory/g)).toHaveLength(1);
  });

  test('names no saving where readback-blob was not measured', () => {
    const text = unwrapped(renderTerminal(buildRun({ scenarios: [buildScenario({ path: 'udmabuf' }), buildScenario({ path: 'copy' })] })));
    expect(text).toContain('readback-blob has no results here, so no saving is named.');
    expect(text).not.toContain('saves');
  });

  test('of recorded guests, which have the path they were recorded with, nothing is missed', () => {
    const recorded = (path: 'udmabuf' | 'copy'): Scenario => ({ ...buildScenario({ path }), id: `realguest-${path}`, layout: 'recorded' });
    for (const scenarios of [[recorded('udmabuf'), recorded('copy')], [recorded('copy')]])
      for (const render of [renderTerminal, renderMarkdown, renderHtml])
        expect(unwrapped(render(buildRun({ scenarios })))).not.toMatch(/has no results|No importing path/);
    const mixed = buildRun({ scenarios: [recorded('udmabuf'), buildScenario({ path: 'udmabuf', width: 1920, height: 1080 })] });
    expect(unwrapped(renderTerminal(mixed))).toContain('readback-blob has no results here, so no saving is named.');
  });

  test('of a suite whose pairs are its headline no saving is missed', () => {
    const run = buildRun({ scenarios: [buildScenario({ path: 'udmabuf' })], pairs: [] });
    for (const render of [renderTerminal, renderMarkdown, renderHtml]) expect(unwrapped(render(run))).not.toContain('has no results');
  });

  test('a run that only imports has figures a layout, and says once that no saving is named', () => {
    const scenarios = (['contiguous', '4k'] as const).flatMap((layout) =>
      (['vfio', 'udmabuf'] as const).map((path) => ({ ...buildScenario({ path, rateHz: null }), id: `${path}-${layout}`, layout })),
    );
    const text = renderTerminal(buildRun({ scenarios }));
    expect(text).toMatch(/^4K at max rate, contiguous pages: udmabuf .* updates a second, 0 copies/m);
    expect(unwrapped(text)).toMatch(/4K at max rate, 4k pages: udmabuf [^;]*, an import 420 µs\. readback-blob has no results here/);
    for (const each of [text, renderMarkdown(buildRun({ scenarios })), renderHtml(buildRun({ scenarios }))])
      expect(unwrapped(each).match(/so no saving is named/g)).toHaveLength(1);
  });

  test('where only some sizes lack readback-blob, they are named', () => {
    const run = buildRun();
    run.scenarios = run.scenarios.filter(({ path, width, rateHz }) => path !== 'readback-blob' || width !== 3840 || rateHz === null);
    expect(unwrapped(renderTerminal(run))).toContain('readback-blob has no results at 4K at 60 Hz, so no saving is named.');
  });

  test('what an import costs is a table: alike buffers together, undisturbed ones before disturbed', () => {
    const run = buildRun();
    // 1080p and 4K at 60 Hz; at max rate they are 10 further on.
    run.scenarios[11].results.importUs = { count: 1, mean: 820, max: 1234 };
    run.scenarios[10].results.importUs = { count: 1, mean: 9000, max: 9000 };
    run.scenarios[10].results.disturbed = true;
    for (const at of [5, 15]) run.scenarios[at].results.disturbed = true;
    const text = renderTerminal(run);
    const lines = text.slice(text.indexOf('What importing costs (host work, once a buffer)')).split('\n');
    expect(lines[1]).toMatch(/^path +size +layout +segments +imports +median µs +mean µs +max µs$/);
    const rows = lines.slice(2, lines.indexOf('') - 1).map((line) => line.split(/ +/));
    expect(rows).toHaveLength(6);
    expect(rows).toContainEqual(['vfio*', '4K', '4k', '1', '6', '420', '420', '610']);
    expect(rows).toContainEqual(['vfio', '1080p', '4k', '1', '3', '420', '420', '610']);
    expect(rows).toContainEqual(['udmabuf', '1080p', '4k', '2,025', '4', '420', '520', '1,234']);
    expect(renderMarkdown(run)).toContain('| udmabuf | 1080p | 4k | 2,025 | 4 | 420 | 520 | 1,234 |');
    expect(renderHtml(run)).toMatch(/<h2>What importing costs[\s\S]*<th scope="row">udmabuf<\/th>[^\n]*<td>520<\/td><td>1,234<\/td>/);
  });

  test('paths that import nothing have no table of imports', () => {
    const run = buildRun({ scenarios: [buildScenario({ path: 'copy' }), buildScenario({ path: 'readback-copy' })] });
    for (const text of [renderTerminal(run), renderMarkdown(run), renderHtml(run)]) expect(text).not.toContain('What importing costs');
    expect(unwrapped(renderTerminal(run))).toContain('No importing path has results here.');
  });

  test('bytes that an exporter moved are said under the table', () => {
    const run = buildRun({ scenarios: [buildScenario({ path: 'vfio' }), buildScenario({ path: 'readback-blob' })] });
    for (const text of [renderTerminal(run), renderMarkdown(run), renderHtml(run)]) expect(text).not.toContain('moved between');
    run.scenarios[0].results.bytesCopiedByStage.migrate = 2_985_984_000;
    for (const text of [renderTerminal(run), renderMarkdown(run), renderHtml(run)])
      expect(text).toContain('vfio: moved between VRAM and system memory: 2.99 GB in all');
  });

  test('an import that costs more than it saves is said to', () => {
    const slow = buildScenario({ path: 'udmabuf' });
    hostWork(slow.results).p50 = 9000;
    const text = unwrapped(renderTerminal(buildRun({ scenarios: [slow, buildScenario({ path: 'readback-blob' })] })));
    expect(text).toContain('udmabuf saves 1.99 GB/s of copying against readback-blob, which it replaces, at 5.0 ms more work a frame.');
  });

  test('one path in two settings makes two tables, each with its setting', () => {
    const scenarios = (['split', 'packed'] as const).map((ring) => ({ ...buildScenario({ path: 'udmabuf' }), id: ring, ring }));
    const text = renderTerminal(buildRun({ scenarios }));
    expect(text).toContain('4K at 60 Hz, split ring');
    expect(text).toContain('4K at 60 Hz, packed ring');
  });

  test('settings that are not as usual stand beside the others, or under the table when only some scenarios have them', () => {
    const run = buildRun();
    for (const scenario of run.scenarios) scenario.settings = { scanoutUs: 500, damage: '256x256+64+64' };
    expect(unwrapped(renderTerminal(run))).toContain('host in threads, scanout 500 µs, damage 256x256+64+64.');
    run.scenarios[1].settings = { scanoutUs: 500, damage: '256x256+64+64', listLimit: 16384, inOrder: true };
    for (const text of [renderTerminal(run), renderMarkdown(run), renderHtml(run)])
      expect(text).toContain('udmabuf: list limit 16,384, in order');
  });

  test('one path with and without fences makes two tables', () => {
    const usual = buildScenario({ path: 'udmabuf' });
    const control = { ...buildScenario({ path: 'udmabuf' }), id: 'control', settings: { fences: false, migrateEvery: 30 } };
    const text = renderTerminal(buildRun({ scenarios: [usual, control] }));
    expect(text).toMatch(/^4K at 60 Hz$/m);
    expect(text).toMatch(/^4K at 60 Hz, no fences, migrate every 30 frames$/m);
    // The label says it: not said again.
    expect(text).toMatch(/^All tables: latch sink/m);
    expect(text.match(/migrate every/g)).toHaveLength(2);
  });

  test('has colours only when asked', () => {
    expect(renderTerminal(buildRun())).not.toContain('\u001b');
    expect(renderTerminal(buildRun(), { colour: true })).toContain('\u001b[1m');
    expect(renderTerminal(troubled(), { colour: true }).replaceAll(/\u001b\[\d+m/g, '')).toBe(renderTerminal(troubled()));
  });

  test('control characters from the document do not reach the terminal', () => {
    const run = buildRun({ command: 'x\u001b]0;title\u0007\n\u009b31m' });
    run.environment.cpu = '\u001b[2J';
    expect(renderTerminal(run)).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
  });

  test('a wrapped command stays one command', () => {
    const lines = renderTerminal(troubled()).split('\n');
    const from = lines.indexOf('Repeat with') + 1;
    const command = lines.slice(from, -1);
    expect(command.length).toBeGreaterThan(1);
    expect(command.slice(0, -1).every((line) => line.endsWith(' \\'))).toBe(true);
    expect(unwrapped(command.join('\n').replaceAll('\\\n', '')).trim()).toBe(troubled().command.trim());
  });

  test('the command stands as it is, never broken inside quotes or a word', () => {
    const words = [
      'node',
      "'a folder  with spaces/scanout.js'",
      `--out ${'d'.repeat(90)}`,
      `--note "${'word \\" '.repeat(20)}"`,
      'it\\ is',
    ];
    const text = renderTerminal(buildRun({ command: words.join(' ') }));
    const shown = text.slice(text.indexOf('Repeat with\n') + 'Repeat with\n'.length);
    expect(shown.replaceAll(/ \\\n +/g, ' ').trim()).toBe(words.join(' '));
    for (const word of words.flatMap((each) => each.split(/ (?=["d])/))) expect(shown).toContain(word);
  });
});

describe('wrap', () => {
  test('a number keeps its unit', () => {
    expect(wrap('aaaa 12 ms bb', 0, 8)).toEqual(['aaaa', '12 ms bb']);
  });

  test('a text as long as a file is no heavier than it', () => {
    // Looked at as a whole for each line, it would fill the memory.
    const lines = wrap('x'.repeat(4_000_000), 4);
    expect(lines).toHaveLength(1 + Math.ceil((4_000_000 - 80) / 76));
    expect(lines.at(-1)).toMatch(/^ {4}x+$/);
  });

  test('a word longer than the width is cut', () => {
    expect(wrap('abcdefghij', 2, 4)).toEqual(['abcd', '  ef', '  gh', '  ij']);
  });
});

describe('the Markdown report', () => {
  test('has the verdict, a table a group, limits, checks and the command', () => {
    const text = renderMarkdown(buildRun());
    expect(text).toContain('- **4K at 60 Hz:** udmabuf 0 copies');
    expect(text.match(/^## .*at (60 Hz|max rate)/gm)).toHaveLength(4);
    expect(text).toContain('- CPU, 4K at 60 Hz: **23.8% of a core free** (');
    expect(text).toContain('| memcpy in C | 8.3 GB/s |');
    expect(text).toContain('```sh\nnpx scanout run --suite default --seed 7 --out out\n```');
  });

  test("has the HTML report's tables of savings, break-even, copies, latencies and stages, cell for cell", () => {
    const run = withHistograms(buildRun());
    const text = renderMarkdown(run);
    const html = renderHtml(run);
    const cellsOf = (table: string): string[] => [...table.matchAll(/<t[hd][^>]*>([\s\S]*?)<\/t[hd]>/g)].map(([, cell]) => cell.trim());
    const rowsIn = (pattern: RegExp): string[] => {
      const table = pattern.exec(html)?.[1] ?? '';
      return (table.match(/<tr>[\s\S]*?<\/tr>/g) ?? []).map(
        (row) =>
          `| ${cellsOf(row)
            .map((cell) => escapeMarkdown(cell))
            .join(' | ')} |`,
      );
    };
    const tables = [
      [/Of every size and rate<\/summary>([\s\S]*?)<\/table>/, 9],
      [/data-chart="break-even"[\s\S]*?(<table>[\s\S]*?)<\/table>/, 9],
      [/data-chart="paths"[\s\S]*?(<table>[\s\S]*?)<\/table>/, 6],
    ] as const;
    for (const [pattern, count] of tables) {
      expect(rowsIn(pattern)).toHaveLength(count);
      for (const row of rowsIn(pattern)) expect(text).toContain(row);
    }
    const latencies = rowsIn(/data-chart="distribution-0"[\s\S]*?(<table>[\s\S]*?)<\/table>/);
    expect(latencies).toHaveLength(6);
    for (const row of latencies.slice(1)) expect(text).toContain(`| 4K at 60 Hz ${row}`);
    expect(text).toMatch(/^\| 1080p at max rate \| copy \|( (?:&lt;)?\d+% \|){6} - \| [^|]+ \|$/m);
  });

  test('text from elsewhere cannot make markup, break a table or leave the code block', () => {
    const run = buildRun({ command: 'a\n```\n<b>' });
    run.checks = [{ name: 'a | b', status: 'pass', detail: '<img src=x> **bold**\n# head' }];
    const text = renderMarkdown(run);
    expect(text).toContain('| a \\| b | pass | &lt;img src=x&gt; \\*\\*bold\\*\\* \\# head |');
    expect(text).toContain('````sh\na ``` <b>\n````');
  });
});
