import type { CommandOwner } from './command-queue.ts';

/** A response that somebody waits for. */
export class Reply implements CommandOwner {
  done = false;
  type = 0;

  get ok(): boolean {
    return this.type >= 0x1100 && this.type < 0x1200;
  }

  commandDone(_kind: number, response: number): void {
    this.type = response;
    this.done = true;
  }
}
