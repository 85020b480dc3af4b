/** The WebSocket server `ws`: an optional dependency. Without it everything but streaming works. */
import { createRequire } from 'node:module';

type Ws = typeof import('ws');

/** @returns the library, or why it cannot be had and what to do */
export function loadWs(): Ws | string {
  try {
    return createRequire(import.meta.url)('ws') as Ws;
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'MODULE_NOT_FOUND';
    if (missing) return 'ws is not installed: npm install ws';
    return `ws cannot be loaded: ${(error instanceof Error ? error.message : String(error)).split('\n')[0]}`;
  }
}
