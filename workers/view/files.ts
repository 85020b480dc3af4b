import type { ServedFiles } from '../stream/stream-server.ts';

const SCRIPT = 'text/javascript; charset=utf-8';

/** A view's page, in the place of the stream's own; that one's scripts and colours are its, too. */
export const VIEW_FILES: ServedFiles = {
  '/': [new URL('./page/index.html', import.meta.url), 'text/html; charset=utf-8'],
  '/view.css': [new URL('./page/view.css', import.meta.url), 'text/css; charset=utf-8'],
  '/view.js': [new URL('./page/view.js', import.meta.url), SCRIPT],
  '/figures.js': [new URL('./page/figures.js', import.meta.url), SCRIPT],
  '/own-guest.js': [new URL('./page/own-guest.js', import.meta.url), SCRIPT],
  '/other-guest.js': [new URL('./page/other-guest.js', import.meta.url), SCRIPT],
  '/diagram.js': [new URL('./page/diagram.js', import.meta.url), SCRIPT],
};
