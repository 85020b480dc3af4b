/** What was given cannot be used (a file, a document); the message is one line for the user. */
export class InputError extends Error {
  override name = 'InputError';
}
