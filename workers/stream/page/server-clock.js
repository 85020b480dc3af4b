/** Pings that the estimate is drawn from: the newest so many. */
const KEPT = 32;
const FIRST_MS = 100;
const LATER_MS = 1000;
/** After so many the clocks are compared less often. */
const QUICK = 8;

/**
 * The server's clock, estimated as by NTP: of the newest round trips the shortest says most, its middle being when the server
 * looked at its clock. The error is at most half of that round trip, and what the clocks of two computers drift apart while it is kept
 * (half a minute: about 1 ms).
 */
export class ServerClock {
  #send;
  #trips = [];
  #pings = 0;
  #timer = 0;

  /** @param {(message: object) => void} send */
  constructor(send) {
    this.#send = send;
    this.#ping();
  }

  /** The server's time less this page's, ms; null: not known yet. */
  get offset() {
    return this.#best?.offset ?? null;
  }

  /** Of the trip that the offset is drawn from, ms. */
  get roundTrip() {
    return this.#best?.roundTrip ?? null;
  }

  /** Now, on the server's clock, ms; null: not known yet. */
  now() {
    const { offset } = this;
    return offset === null ? null : performance.now() + offset;
  }

  hear({ t, s }) {
    const now = performance.now();
    this.#trips.push({ roundTrip: now - t, offset: s - (t + now) / 2 });
    if (this.#trips.length > KEPT) this.#trips.shift();
    this.#best = this.#trips.reduce((best, trip) => (trip.roundTrip < best.roundTrip ? trip : best));
  }

  close() {
    clearTimeout(this.#timer);
  }

  #best = null;

  #ping() {
    this.#send({ type: 'ping', t: performance.now() });
    this.#timer = setTimeout(() => this.#ping(), ++this.#pings < QUICK ? FIRST_MS : LATER_MS);
  }
}
