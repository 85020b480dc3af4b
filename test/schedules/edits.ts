/** Edits made to the rings' source as a side's thread loads it: indices that start elsewhere than at 0, and planted bugs. */
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';
import { ROOT } from '../support/undo-fix.ts';

/** One piece of text that is in its file exactly once, and what is to stand there. */
export interface Edit {
  /** From the project's root. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** The split ring's free-running indices: fields that are 0 when made. */
const FREE_RUNNING: Readonly<Record<string, readonly string[]>> = {
  'core/ring/split/driver.ts': ['availNext', 'availPublished', 'lastUsed', 'usedSeen'],
  'core/ring/split/device.ts': ['lastAvail', 'availSeen', 'usedNext', 'usedPublished'],
};

/** The name of the global that says where the free-running indices of rings made from now on start. */
export const START = 'ringStart';

/** Lets the free-running indices start at the global `START`. */
export const PRESET: readonly Edit[] = Object.entries(FREE_RUNNING).flatMap(([file, fields]) =>
  fields.map((field) => ({ file, from: `  private ${field} = 0;\n`, to: `  private ${field} = globalThis.${START};\n` })),
);

/** @throws Error when a piece of text is not there exactly once: the edit has to be brought up to date */
export function applyEdits(file: string, text: string, edits: readonly Edit[]): string {
  let edited = text;
  for (const { from, to } of edits.filter((edit) => edit.file === file)) {
    const found = edited.split(from).length - 1;
    if (found !== 1) throw new Error(`${file}: the text to replace was found ${found} times, not once:\n${from}`);
    edited = edited.replace(from, () => to);
  }
  return edited;
}

/** Applies the edits to every file that this thread loads from now on. */
export function installEdits(edits: readonly Edit[]): void {
  registerHooks({
    load(url, context, nextLoad) {
      const result = nextLoad(url, context);
      if (!url.startsWith('file:')) return result;
      const path = fileURLToPath(url);
      if (!path.startsWith(`${ROOT}/`)) return result;
      const file = path.slice(ROOT.length + 1);
      if (!edits.some((edit) => edit.file === file) || result.source == null) return result;
      const text = typeof result.source === 'string' ? result.source : new TextDecoder().decode(result.source);
      return { ...result, source: applyEdits(file, text, edits) };
    },
  });
}
