/** What was given cannot be used (a file, a document); the message is one line for the user. */
export class InputError extends Error {
  override name = 'InputError';
}

/** Node's reason without the system call and the path, on one line. */
export function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/, (open|stat|read|mkdir|rename|scandir|write)\b.*$/s, '').replaceAll(/\s+/g, ' ');
}
