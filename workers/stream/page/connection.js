import { HeadView } from './head-view.js';
import { ServerClock } from './server-clock.js';
import { readBinary } from './wire.js';

/** Between two tries to connect, ms. */
const AGAIN_MS = 1000;

/** Why this browser cannot show a stream; null: it can. */
export function whyNoVideo() {
  if (typeof VideoDecoder !== 'undefined') return null;
  return isSecureContext
    ? 'This browser has no WebCodecs: use a current Chromium, Firefox or Safari.'
    : 'Browsers decode video for pages of this computer or over https alone. Forward the port, for example: ssh -L, and open http://127.0.0.1.';
}

/** The WebSocket to the server, and the heads that it shows; connects again until the stream has ended. */
export class Connection {
  /** Of each head. */
  views = [];
  clock = null;
  /** Whether a head that shows nothing keeps its last picture. */
  keepsPictures = false;
  #parts;
  #socket = null;
  #hasEnded = false;

  /** @param {{ heads: Element, say(text: string, isLoud: boolean): void, hear(message: object): void }} parts `hear`: what is of no head */
  constructor(parts) {
    this.#parts = parts;
    this.#connect();
  }

  /** The first head that shows something. */
  get shown() {
    return this.views.find((view) => view.size !== '');
  }

  tell(message) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #connect() {
    const socket = new WebSocket(`${location.origin.replace(/^http/, 'ws')}/stream`);
    this.#socket = socket;
    socket.binaryType = 'arraybuffer';
    socket.addEventListener('open', () => {
      this.clock = new ServerClock((message) => this.tell(message));
      this.#parts.say('connected', false);
    });
    socket.addEventListener('message', ({ data }) => {
      if (typeof data === 'string') this.#hear(JSON.parse(data));
      else this.#hearBinary(readBinary(data));
    });
    socket.addEventListener('close', () => {
      this.clock?.close();
      for (const view of this.views) view.off();
      if (this.#hasEnded) this.#parts.say('The stream has ended.', true);
      else {
        this.#parts.say('No connection; trying again …', true);
        setTimeout(() => void this.#again(), AGAIN_MS);
      }
    });
  }

  /** Connects anew, unless the server lets this browser in no more: then a person has to do something. */
  async #again() {
    const answer = await fetch('/', { method: 'HEAD' }).catch(() => null);
    if (answer?.status === 403) this.#parts.say('This browser is let in no more: open the newest address that the terminal shows.', true);
    else this.#connect();
  }

  #hear(message) {
    const { type, head } = message;
    if (type === 'hello') {
      this.#parts.heads.replaceChildren();
      this.views = Array.from({ length: message.heads }, (_, at) => new HeadView(at, (told) => this.tell(told), this.clock));
    } else if (type === 'config') this.views[head].configure(message);
    else if (type === 'off') {
      if (!this.keepsPictures) this.views[head].off();
    } else if (type === 'cursor') this.views[head].cursor(message);
    else if (type === 'pong') this.clock.hear(message);
    else if (type === 'bye') this.#hasEnded = true;
    else this.#parts.hear(message);
  }

  #hearBinary(message) {
    if (message?.type === 'frame') this.views[message.head].frame(message);
    else if (message?.type === 'cursor') this.views[message.head].cursorImage(message);
  }
}
