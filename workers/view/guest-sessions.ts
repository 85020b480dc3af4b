import type { MachinePlan } from '../../core/machine/plan.ts';
import { monotonicNowNs } from '../../core/measure/clock.ts';
import type { VhostEncoder } from '../encode/vhost-encoder.ts';
import { Stream } from '../stream/stream.ts';
import { cpuOfProcess, cpuOfTask } from '../thread-usage.ts';
import type { HostNews } from '../vhost-user/host-task.ts';
import { VIEW_FILES } from './files.ts';
import type { ViewMessage } from './messages.ts';
import { ViewMeter } from './meter.ts';

const FIGURES_MS = 250;
/** What clients of a view of this program's own guest may wish for, and these may not. */
const THE_GUESTS_OWN = ['set', 'evict'];

/** Pixels. */
interface Size {
  readonly width: number;
  readonly height: number;
}

export interface GuestSessionsOptions {
  readonly plan: MachinePlan;
  readonly address: string;
  readonly port: number;
  /** Whether ranges of PCI devices' memory are known. */
  readonly hasDevices: boolean;
  /** A display's pixels, of words that the command line has for them; or why there is none such. */
  readonly displayOf: (size: string) => Size | string;
}

/** Guests of another program under one page, one front end after the other, as the vhost-user host serves them. */
export class GuestSessions {
  readonly stream: Stream;
  readonly #options: GuestSessionsOptions;
  readonly #meter: ViewMeter;
  readonly #displays: string[];
  #setDisplay: ((head: number, display: Size) => void) | null = null;
  #timer: NodeJS.Timeout | undefined;
  #sessions = 0;
  #isConnected = false;
  /** The front end's process; 0: not known, or not told apart from this one. */
  #process = 0;

  private constructor(options: GuestSessionsOptions, stream: Stream) {
    const { plan } = options;
    const { width, height, heads } = plan.options;
    this.#options = options;
    this.stream = stream;
    this.#displays = Array.from({ length: heads }, () => nameOf({ width, height }));
    const cpuNs = (): number | null => (this.#process === 0 ? null : cpuOfProcess(this.#process));
    this.#meter = new ViewMeter(plan, () => monotonicNowNs() - plan.originNs, cpuOfTask, { cpuNs });
  }

  /** @throws Error why it cannot be served there */
  static async open(options: GuestSessionsOptions): Promise<GuestSessions> {
    let view: GuestSessions | null = null;
    const stream = await Stream.open(options.plan, options.address, options.port, {
      files: VIEW_FILES,
      control: (wish) => view?.control(wish) ?? null,
      greeting: () => view?.state() ?? { type: 'refused', why: 'the view starts' },
    });
    view = new GuestSessions(options, stream);
    return view;
  }

  /** The host runs. @param setDisplay what connects another display to a head, which calls `displayIs` when that is done */
  begin(encoder: VhostEncoder, setDisplay: (head: number, display: Size) => void): void {
    this.#meter.encoder = encoder.link.share;
    this.#setDisplay = setDisplay;
    this.#timer = setInterval(() => {
      if (this.#isConnected) this.stream.hub.tellAll({ type: 'meter', ...this.#meter.figures() });
    }, FIGURES_MS);
  }

  /** What the host's thread tells. */
  hear(news: HostNews): void {
    if (news.kind !== 'connected' && news.kind !== 'disconnected') return;
    this.#isConnected = news.kind === 'connected';
    this.#process = news.kind === 'connected' && news.process !== process.pid ? news.process : 0;
    if (news.kind === 'connected') {
      this.#sessions++;
      this.#meter.restart();
    }
    this.#tell();
  }

  /** A head has another display now, whoever wanted it; null: none. */
  displayIs(head: number, display: Size | null): void {
    this.#displays[head] = display === null ? 'off' : nameOf(display);
    this.#tell();
  }

  state(): ViewMessage {
    const { hasDevices } = this.#options;
    return { type: 'guest', connected: this.#isConnected, sessions: this.#sessions, displays: [...this.#displays], hasDevices };
  }

  /** @param wish `{ "display": { "head": N, "size": "WxH" } }` @returns why not; null: it is done */
  control(wish: unknown): string | null {
    if (typeof wish !== 'object' || wish === null) return 'a wish is an object: display';
    const { display, ...rest }: Record<string, unknown> = { ...wish };
    const [other] = Object.keys(rest);
    if (THE_GUESTS_OWN.includes(other)) return 'the guest is another program’s: its path, rate and buffers are its own';
    if (other !== undefined) return `there is no '${other}' to wish for: display`;
    if (typeof display !== 'object' || display === null) return 'display is an object: head and size';
    const { head, size }: Record<string, unknown> = { ...display };
    const heads = this.#displays.length;
    if (typeof head !== 'number' || !Number.isInteger(head) || head < 0 || head >= heads) return `there are ${heads} heads, from 0`;
    if (typeof size !== 'string') return 'size is a word, such as 1920x1080';
    const wanted = this.#options.displayOf(size);
    if (typeof wanted === 'string') return wanted;
    if (this.#setDisplay === null) return 'the host starts';
    this.#setDisplay(head, wanted);
    return null;
  }

  /** Lets all who watch go. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.stream.close();
  }

  #tell(): void {
    this.stream.hub.tellAll(this.state());
  }
}

const nameOf = ({ width, height }: Size): string => `${width}x${height}`;
