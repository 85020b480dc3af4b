import { Counter } from '../measure/counters.ts';
import { CopyStage } from '../memory/ledger.ts';
import { Command, CURSOR_SIZE } from '../protocol/constants.ts';
import { Header, Size, UpdateCursor } from '../protocol/layout.ts';
import { readChain } from '../ring/chain.ts';
import type { Context } from './context.ts';
import { wholeRegion } from './image.ts';

const CURSOR_BYTES = CURSOR_SIZE * CURSOR_SIZE * 4;

/**
 * One chain of the cursor queue: it has no response, so an error is only counted (virtio-gpu §4, hostile-guest 69).
 * UPDATE_CURSOR takes the resource's 64×64 image over into the host's copy; resource 0 hides the cursor.
 */
export function handleCursor(context: Context): void {
  const counters = context.options.counters;
  counters.add(Counter.commands, 1);
  if (!serve(context)) counters.add(Counter.cursorErrors, 1);
}

function serve(context: Context): boolean {
  const chain = context.cursorChain;
  if (chain.readableBytes < Size.updateCursor) return false;
  if (readChain(context.options.space, chain, 0, context.cursorBytes, 0, Size.updateCursor) !== Size.updateCursor) return false;
  const body = context.cursorBody;
  const type = body[Header.type];
  if (type !== Command.UPDATE_CURSOR && type !== Command.MOVE_CURSOR) return false;
  const head = body[UpdateCursor.scanout];
  if (head >= context.cursors.length) return false;
  const cursor = context.cursors[head];
  if (type === Command.UPDATE_CURSOR) {
    if (!update(context, head)) return false;
    context.options.counters.add(Counter.cursorUpdates, 1);
  } else {
    context.options.counters.add(Counter.cursorMoves, 1);
  }
  cursor.x = body[UpdateCursor.x];
  cursor.y = body[UpdateCursor.y];
  return true;
}

function update(context: Context, head: number): boolean {
  const body = context.cursorBody;
  const cursor = context.cursors[head];
  const id = body[UpdateCursor.resource];
  if (id !== 0) {
    const resource = context.resources.find(id);
    if (resource === null) return false;
    if (resource.kind === '2d' && (resource.width !== CURSOR_SIZE || resource.height !== CURSOR_SIZE)) return false;
    // A blob's copy is refreshed by FLUSH only: here its pages are read.
    const pixels = resource.buffer.state === 'copied' ? resource.backing : resource.pixels;
    if (pixels === null || pixels.length < CURSOR_BYTES || resource.size < CURSOR_BYTES) return false;
    if (cursor.image === null) {
      const image = context.options.allocateImage(CURSOR_BYTES);
      if (image === null) return false;
      cursor.image = wholeRegion(image, CURSOR_BYTES);
    }
    context.options.copier.copy(cursor.image, 0, pixels, 0, CURSOR_BYTES, CopyStage.cursor);
  }
  cursor.resourceId = id;
  cursor.hotX = body[UpdateCursor.hotX];
  cursor.hotY = body[UpdateCursor.hotY];
  return true;
}

/** Hides all cursors and frees their images. */
export function resetCursors(context: Context): void {
  for (const cursor of context.cursors) {
    if (cursor.image !== null) context.options.freeImage(cursor.image.region[0]);
    cursor.image = null;
    cursor.resourceId = 0;
    cursor.x = 0;
    cursor.y = 0;
    cursor.hotX = 0;
    cursor.hotY = 0;
  }
}
