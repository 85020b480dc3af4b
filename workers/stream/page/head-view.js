import { CodeReader } from './block-code.js';

/** Times that the rate of the shown frames is drawn from, ms. */
const RATE_MS = 2000;

/** A head: its decoder, the canvas that shows it, and the cursor above it. */
export class HeadView {
  /** Shown so far. */
  frames = 0;
  /** The number in the pixels that are shown; null: there is none. */
  code = null;
  size = '';
  #head;
  #tell;
  #clock;
  #decoder = null;
  #config = null;
  #needsKey = true;
  /** Decoded, and drawn at the next repaint. */
  #picture = null;
  #repaints = false;
  #reads = false;
  #reader = new CodeReader();
  #times = [];
  #figure;
  #canvas;
  #context;
  #pointer;
  #images = new Map();
  #title;

  /** @param {number} head @param {(message: object) => void} tell @param {{ now(): number | null }} clock */
  constructor(head, tell, clock) {
    this.#head = head;
    this.#tell = tell;
    this.#clock = clock;
    this.#figure = document.importNode(document.querySelector('#head').content, true).firstElementChild;
    this.#canvas = this.#figure.querySelector('.picture');
    this.#context = this.#canvas.getContext('2d', { alpha: false });
    this.#pointer = this.#figure.querySelector('.pointer');
    this.#title = this.#figure.querySelector('figcaption');
    this.#title.textContent = `Head ${head}`;
    this.#canvas.setAttribute('aria-label', `What head ${head} shows`);
    this.#figure.dataset.head = String(head);
    document.querySelector('#heads').append(this.#figure);
    this.#figure.querySelector('.screen').addEventListener('dblclick', () => this.toggleFullScreen());
  }

  /** The next frames need this decoder; the first is a key frame. */
  configure({ width, height, codec }) {
    this.#config = { codec, codedWidth: width, codedHeight: height, optimizeForLatency: true };
    this.size = `${width} × ${height}`;
    this.#title.textContent = `Head ${this.#head}, ${this.size}`;
    this.#figure.hidden = false;
    this.#open();
  }

  frame({ key, seq, data }) {
    if (this.#decoder === null || (this.#needsKey && !key)) return;
    this.#needsKey = false;
    try {
      // The sequence number goes through the decoder as the frame's time stamp.
      this.#decoder.decode(new EncodedVideoChunk({ type: key ? 'key' : 'delta', timestamp: seq, data }));
    } catch {
      this.#fail();
    }
  }

  /** The head shows nothing. */
  off() {
    this.#close();
    this.#figure.hidden = true;
    this.code = null;
    this.size = '';
    this.#times.length = 0;
  }

  cursorImage({ side, image, pixels }) {
    this.#images.clear();
    this.#images.set(image, new ImageData(pixels, side, side));
  }

  /** Above the picture, in its pixels: it moves without the picture being drawn again. */
  cursor({ visible, x, y, hotX, hotY, image }) {
    const pointer = this.#pointer;
    pointer.hidden = !visible;
    const drawn = this.#images.get(image);
    if (drawn !== undefined && pointer.dataset.image !== String(image)) {
      pointer.width = drawn.width;
      pointer.height = drawn.height;
      pointer.getContext('2d').putImageData(drawn, 0, 0);
      pointer.dataset.image = String(image);
    }
    pointer.dataset.spot = `${x + hotX},${y + hotY}`;
    pointer.dataset.at = `${x},${y}`;
    this.#placePointer();
  }

  toggleFullScreen() {
    if (document.fullscreenElement !== null) void document.exitFullscreen();
    else void this.#figure.querySelector('.screen').requestFullscreen?.();
  }

  /** Frames shown a second. */
  get rate() {
    const from = performance.now() - RATE_MS;
    while (this.#times.length > 0 && this.#times[0] < from) this.#times.shift();
    return (this.#times.length * 1000) / RATE_MS;
  }

  #placePointer() {
    const [x, y] = (this.#pointer.dataset.at ?? '0,0').split(',').map(Number);
    const { width, height } = this.#canvas;
    this.#pointer.style.left = `${(100 * x) / width}%`;
    this.#pointer.style.top = `${(100 * y) / height}%`;
    this.#pointer.style.width = `${(100 * this.#pointer.width) / width}%`;
  }

  #open() {
    this.#close();
    this.#needsKey = true;
    this.#decoder = new VideoDecoder({ output: (picture) => this.#decoded(picture), error: () => this.#fail() });
    this.#decoder.configure(this.#config);
  }

  #close() {
    this.#picture?.close();
    this.#picture = null;
    if (this.#decoder !== null && this.#decoder.state !== 'closed') this.#decoder.close();
    this.#decoder = null;
  }

  /** What cannot be decoded is followed by a key frame, if one is asked for. */
  #fail() {
    this.#close();
    this.#tell({ type: 'key', head: this.#head });
  }

  /** The latest at each repaint: a page that decodes faster than it draws does not fall behind. */
  #decoded(picture) {
    this.#picture?.close();
    this.#picture = picture;
    this.#repaintSoon();
  }

  /** Not before the number of what is shown is known: who hears of it finds that picture on the canvas. */
  #repaintSoon() {
    if (this.#repaints || this.#reads || this.#picture === null) return;
    this.#repaints = true;
    requestAnimationFrame(() => this.#repaint());
  }

  #repaint() {
    this.#repaints = false;
    if (this.#picture !== null) this.#draw(this.#picture);
    this.#picture = null;
  }

  #draw(picture) {
    const seq = picture.timestamp;
    const { displayWidth: width, displayHeight: height } = picture;
    if (this.#canvas.width !== width || this.#canvas.height !== height) {
      this.#canvas.width = width;
      this.#canvas.height = height;
      this.#figure.style.setProperty('--ratio', String(width / height));
      this.#placePointer();
    }
    this.#context.drawImage(picture, 0, 0);
    const at = this.#clock.now();
    this.frames++;
    this.#times.push(performance.now());
    void this.#read(picture, seq, at);
  }

  /** Reads the number of what was drawn, and tells of it. */
  async #read(picture, seq, at) {
    this.#reads = true;
    this.code = await this.#reader.read(picture).catch(() => null);
    picture.close();
    this.#reads = false;
    this.#tell({ type: 'shown', head: this.#head, seq, code: this.code, at });
    this.#canvas.dispatchEvent(new CustomEvent('shown', { bubbles: true, detail: { head: this.#head, code: this.code, seq } }));
    this.#repaintSoon();
  }
}
