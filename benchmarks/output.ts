import type { Writable } from 'node:stream';

/** A standard stream whose reader may go away: what is written after that is dropped, and nothing is thrown. */
export class Output {
  /** Why writing failed; a reader that went away (EPIPE) is no failure. */
  error: Error | null = null;
  readonly #stream: Writable;
  #broken = false;

  /** @param onClosed called when the reader has gone */
  constructor(stream: Writable, onClosed: () => void) {
    this.#stream = stream;
    stream.on('error', (error: NodeJS.ErrnoException) => {
      this.#broken = true;
      if (error.code === 'EPIPE') onClosed();
      else this.error ??= error;
    });
  }

  readonly write = (text: string): void => {
    if (!this.#broken) this.#stream.write(text);
  };

  /** Resolves when everything has been handed to the system, or could not be. */
  async flushed(): Promise<void> {
    if (this.#broken) return;
    await new Promise<void>((resolve) => this.#stream.write('', () => resolve()));
  }
}
