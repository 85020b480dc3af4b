import { parseResolution, ScenarioError } from './scenarios.ts';

const FORM = 'display HEAD WxH or display HEAD off, such as display 0 2560x1440';

/**
 * Carries out a line of `scanout host --control`: `display HEAD WxH` (or 720p … 8k) or `display HEAD off`.
 * @returns its answer: `ok`, or `error: ` and why; null: the line is empty
 */
export function displayLine(
  line: string,
  heads: number,
  set: (head: number, display: { width: number; height: number } | null) => void,
): string | null {
  const [command, head, size, ...more] = line.trim().split(/\s+/);
  if (command === '') return null;
  if (command !== 'display') return `error: there is no ${JSON.stringify(command)}; say ${FORM}`;
  if (size === undefined || more.length > 0) return `error: say ${FORM}`;
  const number = /^\d{1,2}$/.test(head) ? Number(head) : heads;
  if (number >= heads) return `error: there is no head ${JSON.stringify(head)}; there are ${heads}, from 0`;
  try {
    set(number, size === 'off' ? null : parseResolution(size));
  } catch (error) {
    if (error instanceof ScenarioError) return `error: ${error.message}, or off`;
    throw error;
  }
  return 'ok';
}
