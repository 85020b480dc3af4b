import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { type Check, checkRunDocument, type RunDocument, renderHtml } from '../../../reports/index.ts';
import { buildRun, buildScenario, withHistograms, withTraces } from '../../support/run-document.ts';

describe('the status of a run', () => {
  const status = (run: RunDocument): string => /<p id="status"[^>]*>(.*?)<\/p>/.exec(renderHtml(run))?.[1].replaceAll(/<[^>]*>/g, '') ?? '';
  const checks = (...statuses: Check['status'][]): Check[] => statuses.map((each, i) => ({ name: `${i}`, status: each, detail: 'd' }));

  test('comes before anything that was found', () => {
    const main = renderHtml(buildRun()).split('<main>')[1];
    expect(main.indexOf('id="status"')).toBeLessThan(main.indexOf('class="verdict"'));
  });

  test('is valid only when every check passed and nothing was disturbed or missing', () => {
    expect(status(buildRun())).toBe('✓ Valid run: 3 of 3 checks passed.');
    expect(status(buildRun({ checks: checks('pass', 'fail', 'inconclusive') }))).toMatch(
      /^✗ Not to be believed: 1 check makes the run invalid; 1 of 3/,
    );
    const vblanks: Check = { name: 'no vblank is missed', status: 'inconclusive', detail: 'd' };
    expect(status(buildRun({ checks: [vblanks] }))).toMatch(/^✗ Not to be believed: 1 check makes/);
    expect(status(buildRun({ checks: checks('pass', 'inconclusive') }))).toMatch(
      /^△ To be read with care: 1 check was inconclusive\. 1 of 2/,
    );
    expect(status(buildRun({ checks: [] }))).toMatch(/^△ .*nothing was checked/);
    expect(status(buildRun({ scenarios: [] }))).toMatch(/^△ .*it has no results/);
    expect(status(buildRun({ partial: true, partialReason: 'x' }))).toMatch(/^△ .*it ended early/);
    const disturbed = buildRun();
    disturbed.scenarios[3].results.disturbed = true;
    expect(status(disturbed)).toMatch(/^△ .*disturbed: 1 of 20 scenarios/);
  });
});

describe('frame traces', () => {
  const text = renderHtml(withTraces(buildRun()));

  test('are in the schema, as an optional field', () => {
    expect(checkRunDocument(withTraces(buildRun()), 'x').scenarios[0].frameTrace?.frames).toBe(120);
    const broken = withTraces(buildRun());
    broken.scenarios[0].frameTrace = { frames: 0, every: 1, atMs: [], frameTimeUs: [] };
    expect(() => checkRunDocument(broken, 'x')).toThrow(/frameTrace\.frames/);
  });

  test('bring one script, which the page allows by its hash, and nothing else that runs', () => {
    const scripts = [...text.matchAll(/<script([^>]*)>([\s\S]*?)<\/script>/g)];
    const running = scripts.filter(([, attributes]) => attributes === '');
    expect(running).toHaveLength(1);
    const hash = createHash('sha256').update(running[0][2], 'utf8').digest('base64');
    expect(text).toContain(`default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-${hash}'">`);
    expect(scripts).toHaveLength(1 + 4);
    expect(running[0][2]).toContain('The MIT License');
    expect(text).not.toMatch(/ on[a-z]+=/);
  });

  test('have a drawing and a table beside what a script adds', () => {
    const figure = /<div class="whole trace" id="trace-0">([\s\S]*?)<\/figure>/.exec(text)?.[1] ?? '';
    expect(figure).toMatch(/<svg class="trace"[^>]*role="img"/);
    expect(figure.match(/<polyline /g)).toHaveLength(5);
    expect(figure.match(/<tr><th scope="row">/g)).toHaveLength(5);
    expect(figure).toContain('1.7 s');
  });

  test('of more than four groups are folded, and what was disturbed is marked', () => {
    const sizes = [640, 800, 1024, 1280, 1920, 2560].map((width) => ({ ...buildScenario({ path: 'copy', width }), id: `copy-${width}` }));
    sizes[5].results.disturbed = true;
    const many = renderHtml(withTraces(buildRun({ scenarios: sizes })));
    const [open = '', folded = ''] = many.split('<h2>Frame after frame</h2>')[1].split('<details id="more-traces"><summary>2 more');
    expect(open.match(/<svg class="trace"/g)).toHaveLength(4);
    expect(folded.match(/<svg class="trace"/g)).toHaveLength(2);
    expect(open).toContain('>copy*</text>');
    expect(open).toContain('* disturbed');
  });

  test('of a group without any make no section and no script', () => {
    expect(renderHtml(buildRun())).not.toMatch(/Frame after frame|<script/);
    const one = withTraces(buildRun({ scenarios: [buildScenario({ path: 'copy' })] }), 1);
    one.scenarios[0].frameTrace = { frames: 1, every: 1, atMs: [0], frameTimeUs: [0] };
    expect(renderHtml(one).split('<script>')[0]).not.toMatch(/NaN|Infinity|undefined/);
  });
});

describe('latency distributions', () => {
  const text = renderHtml(withHistograms(buildRun()));
  const figures = [...text.matchAll(/<figure>\s*<figcaption>Latency by percentile, ([^<]*)<[\s\S]*?<\/figure>/g)];

  test('are drawn a path and resolution, with a title, a description and a table', () => {
    expect(figures.map(([, label]) => label)).toEqual(['4K at 60 Hz', '1080p at 60 Hz', '4K at max rate', '1080p at max rate']);
    for (const [figure] of figures) {
      expect(figure).toMatch(/<svg [^>]*role="img"[^>]*>\s*<title id="[^"]+">[^<]+<\/title><desc id="[^"]+">[^<]+udmabuf: median /);
      expect(figure.match(/<polyline /g)).toHaveLength(5);
      expect(figure.match(/<tr><th scope="row">/g)).toHaveLength(5);
    }
  });

  test('show both kinds of frames: most at the bottom, one in forty at ten times as long', () => {
    const [, line = ''] = /<polyline class="line l0" points="([^"]*)"/.exec(figures[2][0]) ?? [];
    const points = line.split(' ').map((point) => point.split(',').map(Number));
    expect(points).toHaveLength(4);
    expect(points[0][1]).toBe(points[1][1]);
    expect(points[2][1]).toBe(points[3][1]);
    expect(points[2][1]).toBeLessThan(points[1][1]);
    expect(points.map(([x]) => x)).toEqual(points.map(([x]) => x).sort((a, b) => a - b));
  });

  test('differ by marker and dashes, not by colour alone', () => {
    const shapes = [...figures[0][0].matchAll(/<(circle|path) class="mark (p\d)"[^>]*? (?:r="[\d.]+"|d="M\S+ \S+?(m\S*))/g)].map(
      ([, tag, kind, shape]) => `${kind} ${tag} ${shape}`,
    );
    expect(new Set(shapes).size).toBe(5);
    expect(new Set([...text.matchAll(/svg \.l\d\{[^}]*\}/g)].map(([rule]) => /dasharray:([^}]*)/.exec(rule)?.[1] ?? 'solid')).size).toBe(5);
  });

  test('name a percentile only where a frame lies above it', () => {
    expect(figures[0][0]).toMatch(/<th scope="row">vfio<\/th><td>120<\/td>(<td>[^<-]+<\/td>){3}<td>-<\/td><td>[^<-]+<\/td>/);
    expect(figures[2][0]).toMatch(/<th scope="row">vfio<\/th><td>2,400<\/td>(<td>[^<-]+<\/td>){5}/);
  });

  test('of more than four groups are folded, and what was disturbed is marked', () => {
    const sizes = [640, 800, 1024, 1280, 1920, 2560].map((width) => ({ ...buildScenario({ path: 'copy', width }), id: `copy-${width}` }));
    sizes[5].results.disturbed = true;
    const many = renderHtml(withHistograms(buildRun({ scenarios: sizes })));
    const [open = '', folded = ''] = many.split('<h2>How long frames take')[1].split('<details id="more-distributions"><summary>2 more');
    expect(open.match(/data-chart="distribution-/g)).toHaveLength(4);
    expect(folded.match(/data-chart="distribution-/g)).toHaveLength(2);
    expect(open).toContain('<th scope="row">copy*</th>');
  });

  test('a document without them has no such section; odd ones draw no NaN', () => {
    expect(renderHtml(buildRun())).not.toContain('Latency by percentile');
    for (const counts of [[1], [0], [1e12, 0, 1]]) {
      const run = buildRun({ scenarios: [buildScenario({ path: 'copy' })] });
      run.scenarios[0].latencyHistograms = { submitToPresent: { binsPerDecade: 10, firstBin: -1000, counts } };
      expect(checkRunDocument(run, 'x')).toBe(run);
      expect(renderHtml(run)).not.toMatch(/NaN|Infinity|undefined/);
    }
  });
});

describe('a study', () => {
  const study = {
    question: 'Does <it> grow?',
    axis: 'segments',
    measure: 'one import',
    unit: 'µs',
    series: [{ name: '<b>', points: [{ at: 1, label: '<1>', value: 5, scenarios: [], disturbed: true }] }],
    answers: ['No & yes.'],
  };

  test('is told before all else, its words as text, what was disturbed marked', () => {
    const text = renderHtml(buildRun({ study }));
    expect(text).toContain('<h2 class="question">Does &lt;it&gt; grow?</h2>\n<p class="answer">No &amp; yes.</p>');
    expect(text.indexOf('Does &lt;it')).toBeLessThan(text.indexOf('What importing saves'));
    expect(text.indexOf('id="status"')).toBeLessThan(text.indexOf('Does &lt;it'));
    expect(text).toMatch(/<details id="verdicts"><summary>[^<]*<\/summary><ul class="verdict">/);
    expect(text).toContain('<td>5.0*</td>');
    expect(text).not.toContain('<b>,');
  });

  test('without any figure has its table and no drawing', () => {
    const none = { ...study, answers: [], series: [{ name: 'a', points: [{ ...study.series[0].points[0], value: null }] }] };
    const text = renderHtml(buildRun({ study: none }));
    expect(text).not.toMatch(/NaN|Infinity|data-chart="study"/);
    expect(text).toContain('<td>-</td>');
  });
});
