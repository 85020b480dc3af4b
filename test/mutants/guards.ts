/**
 * Where a source file refuses something: an `if` whose outcome is an error thrown, an errno, an error response or a stall.
 * By the formatter's layout: the outcome follows on the same line, or stands alone on the next.
 */
export interface Guard {
  readonly line: number;
  readonly condition: string;
  /** Offsets in the file, from `if` to the end of the condition's outcome. */
  readonly from: number;
  readonly to: number;
}

const REFUSAL =
  /^\s*if \((.*)\)(?: \{\n\s*| |\n\s+)(?:throw |return fail\(|return this\.#refuse\(|return Response\.ERR_|return STALL)[^\n]*/gm;

export function guardsOf(text: string): Guard[] {
  return [...text.matchAll(REFUSAL)].map((match) => ({
    line: text.slice(0, match.index).split('\n').length,
    condition: match[1],
    from: match.index,
    to: match.index + match[0].length,
  }));
}
