/** The other end broke the protocol, or went: the session ends, and the message says why in one line. */
export class PeerError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'PeerError';
  }
}
