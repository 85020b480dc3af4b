/** A limit that was measured, or why it could not be. A limit that the machine does not have is never 0. */
export type Measured<T> = { readonly value: T } | { readonly unavailable: string };

export function unavailable(reason: string): { readonly unavailable: string } {
  return { unavailable: reason };
}

/** The reason in one line, from whatever was thrown. */
export function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split('\n', 1)[0];
}
