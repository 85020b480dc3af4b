import { describe, expect, test } from 'vitest';
import { checkRunDocument, renderHtml, renderMarkdown, renderTerminal } from '../../../reports/index.ts';
import type { RunDocument } from '../../../reports/run-document.ts';
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

  test('hardware that was there and was not used is named', () => {
    const run = encoded();
    for (const { encoder } of run.scenarios) encoder?.devices.push('vaapi');
    expect(renderMarkdown(run)).toContain('was not used: vaapi');
  });

  test('are not spoken of in a run without an encoder', () => {
    for (const render of [renderTerminal, renderMarkdown, renderHtml]) expect(render(buildRun())).not.toContain('Encoding');
  });
});
