import { CardRenderer } from '../guest/card-renderer.ts';
import { ContentRenderer } from '../guest/content-renderer.ts';
import { PaintRenderer, type Renderer, StampRenderer } from '../guest/renderer.ts';
import type { Clock } from '../measure/clock.ts';
import { Copier, copyKernelNamed } from '../memory/copier.ts';
import { Ledger } from '../memory/ledger.ts';
import { type PictureShare, PictureTaker } from '../memory/picture-ring.ts';
import type { MachineOptions } from './options.ts';

/** What decides what is drawn. */
export type DrawOptions = Pick<MachineOptions, 'renderer' | 'card' | 'damage' | 'rateHz' | 'copier'>;

/**
 * The renderer of a machine.
 * @param clock what a test card shows, and what says which picture is due
 * @param pictures with the renderer `content`: where they come from
 */
export function rendererOf({ card, renderer, damage, rateHz, copier }: DrawOptions, clock: Clock, pictures?: PictureShare): Renderer {
  if (renderer === 'content') {
    if (pictures === undefined) throw new RangeError('a guest that shows content was planned without room for its pictures');
    // A guest without a rate has no time that pictures could be due at: each of its frames takes the next one.
    return new ContentRenderer(new PictureTaker(pictures, rateHz !== null), clock, new Copier(copyKernelNamed(copier), new Ledger()));
  }
  if (card === true) return new CardRenderer(clock);
  return renderer === 'paint' ? new PaintRenderer(damage) : new StampRenderer(damage);
}
