/**
 * One thing done wrong on purpose: a textual edit of one source file, and the tests of which at least one must then fail.
 * Ids are paths, `subject/what`, so that a glob picks a subject.
 */
export interface Mutant {
  readonly id: string;
  /** From the project's root. */
  readonly file: string;
  /** Found exactly once in the file. */
  readonly find: string;
  readonly replace: string;
  /** Test files, from the project's root. */
  readonly tests: readonly string[];
  /** Why no test can tell it from the original; absent: one has to. */
  readonly equivalent?: string;
}

/**
 * An edit as the lists write it. A text alone is taken away: of `if (…)` without what it guards the condition becomes `false`,
 * anything else is deleted. Else: the text, what stands in its place, and why no test can tell.
 */
export type Edit = string | readonly [find: string, replace: string] | readonly [find: string, replace: string, equivalent: string];

/** The mutants of one file; the ids are `subject/name`. */
export function mutantsOf(subject: string, file: string, tests: readonly string[], edits: Readonly<Record<string, Edit>>): Mutant[] {
  return Object.entries(edits).map(([name, edit]) => {
    const [find, replace, equivalent] = typeof edit === 'string' ? [edit, /^if \(.*\)$/.test(edit) ? 'if (false)' : ''] : edit;
    const mutant = { id: `${subject}/${name}`, file, find, replace, tests: tests.map((test) => `test/${test}.test.ts`) };
    return equivalent === undefined ? mutant : { ...mutant, equivalent };
  });
}

/** The text with the mutant's edit. @throws Error unless what it replaces is there exactly once */
export function mutate(mutant: Mutant, text: string): string {
  const found = text.split(mutant.find).length - 1;
  if (found !== 1) throw new Error(`${mutant.id}: its text is found ${found} times in ${mutant.file}, not once:\n${mutant.find}`);
  return text.replace(mutant.find, () => mutant.replace);
}
