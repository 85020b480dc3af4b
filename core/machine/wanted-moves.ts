import type { PassthroughGpu } from '../dmabuf/gpu.ts';
import type { HeadPlan, Surface } from '../guest/compositor.ts';
import { Counter, type Counters } from '../measure/counters.ts';

/** Moves of a GPU's buffer that somebody asked for: the first takes one that has come free to the other placement, the next takes it back. */
export class WantedMoves {
  readonly #gpu: PassthroughGpu;
  readonly #heads: readonly HeadPlan[];
  readonly #counters: Counters;
  #wanted = 0;
  #away: Surface | null = null;

  constructor(gpu: PassthroughGpu, heads: readonly HeadPlan[], counters: Counters) {
    this.#gpu = gpu;
    this.#heads = heads;
    this.#counters = counters;
  }

  /** One more. */
  want(): void {
    this.#wanted++;
  }

  /** A surface has come free: it is moved if it is the one. A refusal (pinned, no room) is counted, and is no move. */
  onFree(surface: Surface): void {
    if (this.#wanted === 0 || surface.gpu === null) return;
    if (this.#away !== null && !this.#has(this.#away)) this.#away = null;
    if (this.#away !== null && this.#away !== surface) return;
    this.#wanted--;
    const moved = surface.gpu.placement === 'vram' ? this.#gpu.evict(surface.gpu) : this.#gpu.restore(surface.gpu);
    this.#counters.add(moved.ok ? Counter.moves : Counter.movesRefused, 1);
    if (moved.ok) this.#away = this.#away === null ? surface : null;
  }

  /** Whether a swap chain still has it: a mode set makes others. */
  #has(surface: Surface): boolean {
    for (const { surfaces } of this.#heads) if (surfaces.includes(surface)) return true;
    return false;
  }
}
