import { renderMarkdown } from '../markdown.ts';
import type { RunDocument } from '../run-document.ts';
import { exportBmf } from './bmf.ts';
import { exportCsv } from './csv.ts';
import type { ExportFormat } from './formats.ts';
import { exportGithubActionBenchmark } from './github-action-benchmark.ts';
import { exportJunit } from './junit.ts';

const EXPORTERS: Record<ExportFormat, (run: RunDocument) => string> = {
  csv: exportCsv,
  bmf: exportBmf,
  'github-action-benchmark': exportGithubActionBenchmark,
  junit: exportJunit,
  markdown: renderMarkdown,
};

/** A run in a form that other programs read; ends with a newline. */
export function exportRun(run: RunDocument, format: ExportFormat): string {
  return EXPORTERS[format](run);
}
