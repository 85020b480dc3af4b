import type { Progress } from './progress.ts';

/** ms between two live lines: in a terminal, and elsewhere. */
const LIVE_MS = 1000;
const QUIET_MS = 10_000;

/** Runs something that goes on, and says on stderr how it goes. @param line null: nothing new since the last one */
export async function withLiveLine<T>(progress: Progress, terminal: boolean, line: () => string | null, run: () => Promise<T>): Promise<T> {
  const timer = setInterval(
    () => {
      const text = line();
      if (text !== null) progress.line(text);
    },
    terminal ? LIVE_MS : QUIET_MS,
  );
  try {
    return await run();
  } finally {
    clearInterval(timer);
    progress.end();
  }
}
