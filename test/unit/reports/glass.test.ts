import { describe, expect, test } from 'vitest';
import { METRIC_NAMES, metricValue } from '../../../reports/compare/metrics.ts';
import { exportCsv } from '../../../reports/export/csv.ts';
import { checkRunDocument, renderHtml, renderMarkdown, renderTerminal } from '../../../reports/index.ts';
import type { RunDocument } from '../../../reports/run-document.ts';
import { encodeMetrics } from '../../support/encode-metrics.ts';
import { glassMetrics } from '../../support/glass-metrics.ts';
import { buildRun } from '../../support/run-document.ts';

function watched(): RunDocument {
  const run = buildRun();
  for (const { results, repetitions } of run.scenarios) {
    results.glass = glassMetrics();
    results.encode = encodeMetrics();
    for (const repetition of repetitions) repetition.glass = glassMetrics();
  }
  return run;
}

describe('a stream that a browser showed', () => {
  test('is in the schema, as an optional field', () => {
    expect(checkRunDocument(watched(), 'x').scenarios[0].results.glass?.shown).toBe(118);
    const broken = watched();
    broken.scenarios[0].results.glass = { ...glassMetrics(), p50Us: -1 };
    expect(() => checkRunDocument(broken, 'x')).toThrow(/glass\.p50Us/);
  });

  test('has a table in each report', () => {
    for (const text of [renderTerminal(watched()), renderMarkdown(watched()), renderHtml(watched())]) {
      const plain = text.replaceAll(/\s+/g, ' ');
      expect(plain).toContain('Glass to glass');
      for (const figure of ['29.6', '98%', '47.2', '71.9', '0.17', '104']) expect(plain).toContain(figure);
    }
    for (const line of renderTerminal(watched()).split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
  });

  test('is not spoken of in a run without a browser', () => {
    for (const render of [renderTerminal, renderMarkdown, renderHtml]) expect(render(buildRun())).not.toContain('Glass to glass');
  });

  test('can be compared and exported', () => {
    const { results } = watched().scenarios[0];
    expect(METRIC_NAMES).toContain('glass.p50Us');
    expect(metricValue(results, 'glass.p99Us')).toBe(71_900);
    expect(exportCsv(watched()).split('\r\n')[0]).toContain('glass.offsetErrorUs');
  });
});
