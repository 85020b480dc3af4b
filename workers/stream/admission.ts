import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** Of a request. */
interface Headers {
  readonly host?: string | undefined;
  readonly origin?: string | undefined;
  readonly cookie?: string | undefined;
}

/** Of a token and of a session's secret. */
const SECRET_BYTES = 24;
/** Sessions that are remembered; the oldest goes. */
const MOST_SESSIONS = 256;

/**
 * Who may watch: whoever brings the token, once; that browser then has a session by a cookie. Nothing is told to anybody else, nor
 * to a browser that another site's page, or a name that is not this server's (DNS rebinding), has sent here.
 */
export class Admission {
  /** Called with the next token, when one was used. */
  onToken: (token: string) => void = () => {};
  readonly #hosts: ReadonlySet<string>;
  readonly #cookie: string;
  /** Hashes of their secrets, the oldest first. */
  readonly #sessions = new Set<string>();
  #token = newSecret();

  /** @param hosts what may stand in a request's Host, in lower case @param port by which the cookie is named: ports do not part cookies */
  constructor(hosts: readonly string[], port: number) {
    this.#hosts = new Set(hosts);
    this.#cookie = `scanout-${port}`;
  }

  /** Good for one browser. */
  get token(): string {
    return this.#token;
  }

  /** Whether a request was sent to this server by nobody's page but its own. @param needsOrigin as a WebSocket's does: it comes from a page */
  isOwn({ host, origin }: Headers, needsOrigin: boolean): boolean {
    if (host === undefined || !this.#hosts.has(host.toLowerCase())) return false;
    return origin === undefined ? !needsOrigin : origin === `http://${host.toLowerCase()}`;
  }

  /** @returns the session that a request has, by a name that tells nobody its secret; null: it has none */
  sessionOf({ cookie }: Headers): string | null {
    for (const one of (cookie ?? '').split(';')) {
      const [name, value = ''] = one.trim().split('=', 2);
      if (name !== this.#cookie) continue;
      // Looked up by its hash: how long that takes tells nothing of a secret.
      const hash = hashOf(value).toString('hex');
      if (this.#sessions.has(hash)) return hash;
    }
    return null;
  }

  /** Uses the token up. @returns the cookie's text for the new session; null: it is not the token */
  admit(token: string): string | null {
    if (!timingSafeEqual(hashOf(token), hashOf(this.#token))) return null;
    this.#token = newSecret();
    const secret = newSecret();
    const [oldest] = this.#sessions;
    if (this.#sessions.size === MOST_SESSIONS) this.#sessions.delete(oldest);
    this.#sessions.add(hashOf(secret).toString('hex'));
    this.onToken(this.#token);
    return `${this.#cookie}=${secret}; HttpOnly; SameSite=Strict; Path=/`;
  }
}

const newSecret = (): string => randomBytes(SECRET_BYTES).toString('base64url');

const hashOf = (text: string): Buffer => createHash('sha256').update(text).digest();
