/** A table as every rendering can show it; its first `words` columns are words. */
export interface Table {
  heads: readonly string[];
  rows: readonly (readonly string[])[];
  words: number;
}
