import { describe, expect, test } from 'vitest';
import { checkRunDocument, renderHtml, renderMarkdown, renderTerminal } from '../../../reports/index.ts';
import type { PathGain, RunDocument } from '../../../reports/run-document.ts';
import { encodeMetrics } from '../../support/encode-metrics.ts';
import { buildRun } from '../../support/run-document.ts';

function encoded(): RunDocument {
  const run = buildRun();
  for (const scenario of run.scenarios) {
    scenario.sink = 'encode';
    scenario.results.encode = { ...encodeMetrics(), transferUs: scenario.path === 'copy' ? 1900 : 0 };
    scenario.encoder = { name: 'libx264 ultrafast', devices: [], maxRefreshHz: null, toAlone: { median: 0.95, low: 0.9, high: 0.99 } };
    for (const repetition of scenario.repetitions) repetition.encode = encodeMetrics();
  }
  return run;
}

/** The same as the suite has it: a question, with the ratios that answer it. */
function compared(): RunDocument {
  const gain = { size: '1080p', path: 'udmabuf', over: 'readback-copy', predicted: 1.12, copiesShare: 0.163 } as const;
  const gains: PathGain[] = [
    { ...gain, ratio: { median: 1.11, low: 1.03, high: 1.22, pairs: 5, confidence: 0.95 } },
    { ...gain, over: 'copy', predicted: 1.3, copiesShare: null, ratio: { median: 1.05, low: 0.98, high: 1.1, pairs: 5 } },
    { ...gain, path: 'vfio', ratio: { median: 1.2, low: 1, high: 1.4, pairs: 3 } },
  ];
  const study = { question: 'How many?', axis: 'size of a frame', measure: 'frames', unit: '', series: [], answers: ['So many.'], gains };
  return { ...encoded(), study };
}

describe('what an encoder gains', () => {
  test('is a table in each report: the ratio, what was predicted and whether it lies inside, the copies and the pairs', () => {
    const run = compared();
    expect(renderTerminal(run).replaceAll(/ +/g, ' ')).toContain('\n1080p udmabuf readback-copy 1.11 [1.03, 1.22] 1.12 yes 16% 5\n');
    const markdown = renderMarkdown(run);
    expect(markdown).toContain('| 1080p | udmabuf | readback-copy | 1.11 \\[1.03, 1.22\\] | 1.12 | yes | 16% | 5 |');
    expect(markdown).toContain('| 1080p | udmabuf | copy | 1.05 \\[0.98, 1.10\\] | 1.30 | no | - | 5 |');
    // Three pairs make no interval that a prediction could be held against.
    expect(markdown).toContain('| 1080p | vfio | readback-copy | 1.20 \\[1.00, 1.40\\] | 1.12 | - | 16% | 3 |');
    expect(renderHtml(run)).toMatch(/<h3 id="gains">[\s\S]*<th scope="row">1080p<\/th><td class="name">udmabuf<\/td>[^\n]*<td>yes<\/td>/);
    for (const line of renderTerminal(run).split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
  });

  test('is in the schema, as an optional field', () => {
    expect(checkRunDocument(compared(), 'x').study?.gains).toHaveLength(3);
    const broken = compared();
    if (broken.study?.gains !== undefined) broken.study.gains[0].ratio.pairs = -1;
    expect(() => checkRunDocument(broken, 'x')).toThrow(/gains/);
  });

  test('takes the place of what importing saves: the encoder works at a frame, too', () => {
    for (const render of [renderTerminal, renderMarkdown, renderHtml]) {
      expect(render(buildRun())).toMatch(/What importing saves[\s\S]*From when importing pays/);
      expect(render(compared())).not.toMatch(/What importing saves|From when importing pays/);
      expect(render(encoded())).not.toMatch(/What importing saves|From when importing pays/);
    }
  });
});

describe('frames that were encoded', () => {
  test('are in the schema, as optional fields', () => {
    expect(checkRunDocument(encoded(), 'x').scenarios[0].results.encode?.framesEncoded).toBe(300);
    const broken = encoded();
    broken.scenarios[0].results.encode = { ...encodeMetrics(), fps: -1 };
    expect(() => checkRunDocument(broken, 'x')).toThrow(/encode\.fps/);
    const nameless = encoded();
    nameless.scenarios[0].encoder = { name: '', devices: [], maxRefreshHz: null, toAlone: null };
    expect(() => checkRunDocument(nameless, 'x')).toThrow(/encoder\.name/);
  });

  test('have a table in each report, and what the library copies by itself is said', () => {
    for (const text of [renderTerminal(encoded()), renderMarkdown(encoded()), renderHtml(encoded())]) {
      const plain = text.replaceAll(/\s+/g, ' ');
      expect(plain).toContain('Encoding (H.264)');
      expect(plain).toContain('memory of its own: 1.5 bytes a pixel');
      expect(plain).toContain('0.95');
      expect(plain).toContain('1.90');
      expect(plain).toContain('none could be opened');
    }
    for (const line of renderTerminal(encoded()).split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
  });

  test('slow frames fit the terminal too', () => {
    const run = encoded();
    const slow = { p50: 97_450, p90: 98_000, p99: 99_480, p999: 99_500, max: 99_600 };
    for (const { path, results } of run.scenarios) {
      if (path === 'readback-copy') results.disturbed = true;
      results.encode = { ...encodeMetrics(), transferUs: 12_040, gatherCpuUs: 10_000, encodingCpuUs: 17_450, submitToPacketUs: slow };
    }
    const lines = renderTerminal(run).split('\n');
    expect(lines.filter((line) => line.includes('97.45')).length).toBe(run.scenarios.length);
    for (const line of lines) expect(line.length, line).toBeLessThanOrEqual(80);
  });

  test('hardware that was there and was not used is named', () => {
    const run = encoded();
    for (const { encoder } of run.scenarios) encoder?.devices.push('vaapi');
    expect(renderMarkdown(run)).toContain('was not used: vaapi');
  });

  test('hardware that has encoded is named, and why other has not', () => {
    const run = encoded();
    const [first] = run.scenarios;
    for (const { encoder } of run.scenarios) if (encoder !== undefined) encoder.notUsed = ['VAAPI: no /dev/dri/renderD*'];
    expect(renderMarkdown(run)).toMatch(/Hardware that was not used: VAAPI: no \/dev\/dri\/renderD\\?\*\./);
    expect(renderMarkdown(run)).not.toContain('could be opened');
    if (first.encoder !== undefined) first.encoder.devices = ['NVENC'];
    expect(renderMarkdown(checkRunDocument(run, 'x'))).toContain('Hardware that has encoded: NVENC.');
    for (const { encoder } of run.scenarios) Object.assign(encoder ?? {}, { devices: [], notUsed: [] });
    expect(renderMarkdown(run)).toContain('No hardware was asked to encode.');
  });

  test('are not spoken of in a run without an encoder', () => {
    for (const render of [renderTerminal, renderMarkdown, renderHtml]) expect(render(buildRun())).not.toContain('Encoding');
  });
});
