import type { Clock } from '../../core/measure/clock.ts';
import type { PictureMaker } from '../../core/memory/picture-ring.ts';
import type { ContentFile } from './content-file.ts';
import type { PictureScaler } from './picture-scaler.ts';

/** So late the pictures' time is moved on; less late, those are left out for which nobody waits. */
const MOST_LATE_NS = 1e9;

export interface PlayerParts {
  readonly maker: PictureMaker;
  readonly scaler: Pick<PictureScaler, 'bytes' | 'stride' | 'convert'>;
  readonly clock: Clock;
  /** In the pictures' own time; else as fast as they are taken. */
  readonly paced: boolean;
  /** There is one picture. */
  readonly isStill: boolean;
}

/** Puts pictures into the ring, ahead of when they are due. */
export class Player {
  readonly #parts: PlayerParts;
  /** When the next beginning is due, ns. */
  #startNs: number;

  constructor(parts: PlayerParts) {
    this.#parts = parts;
    parts.clock.read();
    this.#startNs = parts.clock.slot[0];
  }

  /** Whether there is nothing more to do: nobody takes any more, or the one picture is there. */
  get isDone(): boolean {
    const { maker, isStill } = this.#parts;
    return maker.stopRequested || (isStill && maker.made > 0);
  }

  /** Plays a source from its beginning to its end, which is when it is due again. @param first called when the first picture is there */
  playOnce(source: Pick<ContentFile, 'step' | 'frame' | 'atNs' | 'lengthNs'>, first: () => void): void {
    const { maker, scaler, clock, paced } = this.#parts;
    while (!this.isDone) {
      const step = source.step();
      if (step === 'end') break;
      if (step === 'more') continue;
      if (!maker.waitForRoom()) break;
      clock.read();
      const lateNs = paced ? clock.slot[0] - this.#startNs - source.atNs : 0;
      if (lateNs > MOST_LATE_NS) this.#startNs += lateNs;
      else if (lateNs > 0 && !maker.isDrained) continue;
      scaler.convert(source.frame);
      maker.add(scaler.bytes, scaler.stride, this.#startNs + source.atNs);
      if (maker.made === 1) first();
    }
    this.#startNs += source.lengthNs;
  }
}
