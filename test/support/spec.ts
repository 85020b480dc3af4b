/** Reads SPEC.md: a list of promises, each with its source and the tests that hold it. */

export interface Promised {
  /** A letter and a number: R1. */
  readonly id: string;
  readonly sentence: string;
  /** Separated by "; ". */
  readonly source: string;
  readonly tests: readonly { readonly file: string; readonly title: string }[];
}

/** Text with every run of white space made one space, so that it does not matter where lines end. */
export const wordsOf = (text: string): string => text.replaceAll(/\s+/g, ' ').trim();

/**
 * The promises of a text, each written so:
 *
 *     - **R1** A sentence. *(source; source)*
 *       - `file` "part of a test's title"
 */
export function promisesOf(markdown: string): Promised[] {
  return markdown
    .split(/^(?=- \*\*)/m)
    .slice(1)
    .map((item) => {
      const [head, ...tests] = item.split(/\n(?:#|\s+- )/);
      const [, id, sentence, source] = /^- \*\*([A-Z]\d+)\*\* (.+?)(?: \*\(([^*]+)\)\*)?$/.exec(wordsOf(head)) ?? [];
      if (id === undefined) throw new Error(`SPEC.md: no promise: ${head}`);
      return {
        id,
        sentence,
        source: source ?? '',
        tests: tests.flatMap((test) => {
          const [, file, title] = /^`([^`]+)` "(.+)"$/.exec(wordsOf(test)) ?? [];
          return file === undefined ? [] : [{ file, title }];
        }),
      };
    });
}

/** What a promise may name as its source. */
export class Parts {
  readonly #sections: ReadonlySet<string>;
  readonly #headings: ReadonlySet<string>;
  readonly #cases: ReadonlySet<string>;
  readonly #decisions: ReadonlySet<string>;
  readonly #exists: (file: string) => boolean;

  /** @param decisions numbers of the ADRs; @param exists whether the project has such a file */
  constructor(virtioGpu: string, hostileGuest: string, decisions: readonly string[], exists: (file: string) => boolean) {
    this.#sections = new Set([...virtioGpu.matchAll(/^## (\d+)\. /gm)].map((match) => match[1]));
    this.#headings = new Set([...hostileGuest.matchAll(/^## (.+)$/gm)].map((match) => match[1]));
    this.#cases = new Set([...hostileGuest.matchAll(/(?:^|· )(\d+) |… (\d+) /gm)].map((match) => match[1] ?? match[2]));
    this.#decisions = new Set(decisions);
    this.#exists = exists;
  }

  has(source: string): boolean {
    const [, cases] = /^hostile-guest (\d[\d–, ]*)$/.exec(source) ?? [];
    if (cases !== undefined) return cases.split(/–|, /).every((number) => this.#cases.has(number));
    const [, heading] = /^hostile-guest "(.+)"$/.exec(source) ?? [];
    if (heading !== undefined) return this.#headings.has(heading);
    const [, section] = /^virtio-gpu §(\d)$/.exec(source) ?? [];
    if (section !== undefined) return this.#sections.has(section);
    const [, decision] = /^ADR (\d{4})$/.exec(source) ?? [];
    if (decision !== undefined) return this.#decisions.has(decision);
    // Sources outside the project: their form only.
    if (/^virtio 1\.3 § \d+(\.\d+)*$/.test(source) || /^(Linux|QEMU) [a-z]+\/[\w./-]+\.[ch]$/.test(source)) return true;
    return this.#exists(source);
  }
}
