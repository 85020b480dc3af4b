/** FFmpeg through node-av: an optional dependency. Without it everything works but encoding, and content of a file. */
import { createRequire } from 'node:module';

type Library = typeof import('node-av/lib');
type Constants = typeof import('node-av/constants');
export type NodeAv = Library & Constants;

/** Of this thread. */
let loaded: NodeAv | string | null = null;

/** @returns the library, or why it cannot be had and what to do */
export function loadNodeAv(): NodeAv | string {
  loaded ??= load();
  return loaded;
}

function load(): NodeAv | string {
  const require = createRequire(import.meta.url);
  try {
    const library = { ...(require('node-av/lib') as Library), ...(require('node-av/constants') as Constants) };
    library.Log.setLevel(library.AV_LOG_QUIET);
    if (library.Codec.findEncoderByName(library.FF_ENCODER_LIBX264) === null) return 'the FFmpeg of node-av has no libx264';
    return library;
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'MODULE_NOT_FOUND';
    if (missing) return 'node-av is not installed: npm install node-av';
    return `node-av cannot be loaded: ${(error instanceof Error ? error.message : String(error)).split('\n')[0]}`;
  }
}
