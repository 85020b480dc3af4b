import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';

export interface TraceScript {
  script: string;
  style: string;
  /** For the page's Content-Security-Policy: this script and no other. */
  source: string;
}

/**
 * uPlot and what draws with it, to be written into the page. Read when a report has a trace, and then once.
 * null: a clone without development packages has no uPlot; its reports are complete but do not zoom.
 */
export function traceScript(): TraceScript | null {
  if (loaded === undefined) loaded = load();
  return loaded;
}

let loaded: TraceScript | null | undefined;

function load(): TraceScript | null {
  const folder = uplotFolder();
  if (folder === null) return null;
  const uplot = (name: string): string => readFileSync(new URL(name, folder), 'utf8');
  const view = readFileSync(new URL('./trace-view.js', import.meta.url), 'utf8');
  const script = `/*!\n${uplot('LICENSE')}*/\n${uplot('dist/uPlot.iife.min.js')}\n${view}`;
  return { script, style: uplot('dist/uPlot.min.css'), source: `'sha256-${createHash('sha256').update(script, 'utf8').digest('base64')}'` };
}

/** The build puts uPlot's files beside this one; a clone has them where it installs packages. */
function uplotFolder(): URL | null {
  for (const place of ['./uplot/', '../../node_modules/uplot/']) {
    const folder = new URL(place, import.meta.url);
    if (existsSync(folder)) return folder;
  }
  return null;
}
