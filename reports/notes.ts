import { byteSize } from './format.ts';
import { specialNotes } from './settings.ts';
import type { Group } from './summary.ts';

/** What stands under a group's table, one line each. */
export function notesOf(group: Group): string[] {
  return [...specialNotes(group), ...movedNotes(group)];
}

/** Bytes that an exporter moved while frames were counted: they are no copies of frames, so no column has them. */
function movedNotes(group: Group): string[] {
  const moved = group.scenarios.filter((scenario) => scenario.results.bytesCopiedByStage.migrate > 0);
  return moved.map(
    ({ path, results }) => `${path}: moved between VRAM and system memory: ${byteSize(results.bytesCopiedByStage.migrate)} in all`,
  );
}
