import { describe, expect, test } from 'vitest';
import { html } from '../../../reports/html/escape.ts';
import { linearScale, logScale } from '../../../reports/html/scale.ts';
import { renderHtml, renderMarkdown, renderTerminal } from '../../../reports/index.ts';
import { buildRun, buildScenario } from '../../support/run-document.ts';

/** Replaces every free text of a document. */
function withText(evil: string): ReturnType<typeof buildRun> {
  const run = buildRun({ command: evil, suite: evil, scanoutVersion: evil, partial: true, partialReason: evil });
  Object.assign(run.environment, {
    cpu: evil,
    kernel: evil,
    node: evil,
    v8: evil,
    platform: evil,
    arch: evil,
    copier: evil,
    compiler: evil,
    governor: evil,
  });
  run.limits.memcpyGBps = null;
  run.limits.unavailable = { memcpyGBps: evil };
  run.checks = [{ name: evil, status: 'fail', detail: evil }];
  run.skipped = [{ id: evil, reason: evil }];
  const [first, second] = [buildScenario({ path: 'udmabuf' }), buildScenario({ path: 'udmabuf' })];
  first.results.fallback = { reason: evil };
  first.workerFailures = [evil];
  first.host = evil;
  run.scenarios = [first, { ...second, id: 'second' }];
  return run;
}

describe('the HTML report', () => {
  test('escapes every free text', () => {
    const clean = renderHtml(withText('words'));
    const text = renderHtml(withText("\"><script>alert(1)</script><img src=x onerror='a'>&amp;"));
    expect(text).not.toContain('<script');
    expect(text).not.toContain('<img');
    expect(text).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
    expect(text).toContain('&amp;amp;');
    // The same elements as with harmless words.
    expect(text.match(/<[a-z]/gi)?.length).toBe(clean.match(/<[a-z]/gi)?.length);
  });

  test('names no other file and no script', () => {
    const text = renderHtml(buildRun());
    expect(text).not.toMatch(/https?:|<script|@import|src=|javascript:/i);
    expect([...text.matchAll(/(?:href|url)[=(]["']?([^"')]*)/g)].every(([, to = '']) => to.startsWith('data:') || to.startsWith('#'))).toBe(
      true,
    );
  });

  test('every chart has a title, a description and its data in a table', () => {
    const text = renderHtml(buildRun());
    const figures = text.match(/<figure>[\s\S]*?<\/figure>/g) ?? [];
    const names = figures.map((figure) => / data-chart="([^"]+)"/.exec(figure)?.[1]);
    const ofRate = (rate: string): string[] => ['latency', 'cpu', 'bytes', 'stages'].map((kind) => `${rate}-${kind}`);
    expect(names).toEqual(['paths', 'break-even', 'by-size-0', 'by-size-1', ...ofRate('hz60'), ...ofRate('max')]);
    for (const [i, figure] of figures.entries()) {
      expect(figure).toMatch(/<svg [^>]*role="img"[^>]*>\s*<title id="[^"]+">[^<]+<\/title><desc id="[^"]+">[^<]+<\/desc>/);
      expect(figure).toMatch(/<details><summary>Data<\/summary>[\s\S]*<table>/);
      // Two sizes of five paths; the first and the curves have a row a path, break-even one for each importing path, size and rate.
      expect(figure.match(/<tr><th scope="row">/g), names[i]).toHaveLength([5, 8, 5, 5][i] ?? 10);
    }
    const ids = [...text.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test('series differ by shape or texture, not by colour alone', () => {
    const stages = /data-chart="hz60-stages"[\s\S]*?<\/defs>/.exec(renderHtml(buildRun()))?.[0] ?? '';
    const textures = [...stages.matchAll(/<pattern[\s\S]*?<\/pattern>/g)].map(([pattern]) => / d="([^"]*)"/.exec(pattern)?.[1] ?? 'none');
    expect(textures).toHaveLength(7);
    expect(new Set(textures).size).toBe(7);
  });

  test('the meaning of the columns and of the tinted row stands under the first table, once', () => {
    const text = renderHtml(buildRun());
    const [before, ...after] = text.split('<p class="soft" id="columns">');
    expect(after).toHaveLength(1);
    expect(before.split('<h2>Summary</h2>')[1].match(/<table/g)).toHaveLength(1);
    expect(after[0]).toMatch(
      /^host, guest: work for a frame[^<]*<\/p>\n<p class="soft" id="tint">.*readback-blob: what importing replaces/,
    );
    expect(text.match(/waiting excluded/g)).toHaveLength(1);
    expect(renderHtml(buildRun({ scenarios: [buildScenario({ path: 'udmabuf' })] }))).not.toContain('id="tint"');
  });

  test('routine checks that passed are folded; the others are not', () => {
    const run = buildRun({
      checks: [
        { name: 'vfio-4k copies 0 bytes a frame', status: 'pass', detail: 'a' },
        { name: 'copy-4k tears no frame', status: 'pass', detail: 'b' },
        { name: 'udmabuf-4k tears no frame', status: 'fail', detail: 'c' },
        { name: 'the copier reaches 0.9 of memcpy', status: 'pass', detail: 'd' },
      ],
    });
    const [open = '', folded = ''] = renderHtml(run).split('<h2>Checks</h2>')[1].split('<details id="routine">');
    expect(open).toContain('udmabuf-4k tears no frame');
    expect(open).toContain('the copier reaches');
    expect(folded).toMatch(/^<summary>.*2 of copies and torn frames/);
    expect(folded.split('</details>')[0].match(/<th scope="row">/g)).toHaveLength(2);
  });

  test('where no path copied anything, words stand in place of an empty chart', () => {
    const scenarios = [buildScenario({ path: 'vfio' }), buildScenario({ path: 'udmabuf' })];
    const text = renderHtml(buildRun({ scenarios }));
    expect(text).not.toContain('data-chart="hz60-bytes"');
    expect(text).toMatch(/<figcaption>Bytes copied a frame at 60 Hz<\/figcaption>\s*<p>No path copied anything\.<\/p>/);
    expect(renderHtml(buildRun())).not.toContain('No path copied anything');
  });

  test('microseconds are written µs', () => {
    for (const text of [renderHtml(buildRun()), renderMarkdown(buildRun()), renderTerminal(buildRun())])
      expect(text).not.toMatch(/(?<![A-Za-z])us(?![A-Za-z])/);
  });

  test('no figure is drawn as NaN, of an empty run or one of zeros', () => {
    const zero = buildScenario({ path: 'udmabuf' });
    zero.results.latencyUs.submitToPresent = { p50: 0, p90: 0, p99: 0, p999: 0, max: 0 };
    Object.assign(zero.results, { hostCpuUsPerFrame: 0, guestCpuUsPerFrame: 0, fps: 0 });
    for (const run of [buildRun({ scenarios: [] }), buildRun({ scenarios: [zero] })])
      expect(renderHtml(run)).not.toMatch(/NaN|Infinity|undefined/);
  });
});

describe('html', () => {
  test('escapes values in text and attributes, and leaves markup as it is', () => {
    expect(html`<a title="${'"<&>\''}">${html`<b>${1}</b>`}${['<', '>']}</a>`.text).toBe(
      '<a title="&quot;&lt;&amp;&gt;&#39;"><b>1</b>&lt;&gt;</a>',
    );
  });
});

describe('scales', () => {
  test('a linear axis ends at a round tick at or past the maximum', () => {
    expect(linearScale(8.2).ticks).toEqual([0, 2, 4, 6, 8, 10]);
    expect(linearScale(0.3).ticks.at(-1)).toBe(0.3);
    expect(linearScale(0).ticks[0]).toBe(0);
    expect(linearScale(10).at(10)).toBe(1);
    expect(linearScale(10).at(99)).toBe(1);
  });

  test('a logarithmic axis has whole decades', () => {
    expect(logScale(8, 4100).ticks).toEqual([1, 10, 100, 1000, 10000]);
    expect(logScale(10, 10).ticks).toEqual([10, 100]);
    expect(logScale(1, 100).at(10)).toBe(0.5);
    expect(logScale(1, 100).at(0)).toBe(0);
  });
});
