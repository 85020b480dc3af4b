import type { MachineOptions } from '../../core/machine/options.ts';
import { planMachine } from '../../core/machine/plan.ts';
import { monotonicNowNs } from '../../core/measure/clock.ts';
import { Counter, Counters } from '../../core/measure/counters.ts';
import { Remote } from '../remote.ts';
import { type EncodeTap, type SessionOutcome, SessionRunner } from '../session.ts';
import { Stream } from '../stream/stream.ts';
import { cpuOfTask } from '../thread-usage.ts';
import { VIEW_FILES } from './files.ts';
import { type Migration, type ViewFigures, type ViewMessage, WISHES, type Wish } from './messages.ts';
import { ViewMeter } from './meter.ts';

const FIGURES_MS = 250;
/** How long an evicted buffer lies in the other place before it is taken back, ms. */
const AWAY_MS = 2000;
/** What is left of a timer's 32 bits: 24 days. */
const FOREVER_MS = 2 ** 31 - 1;

export interface ViewOptions {
  readonly wish: Wish;
  /** The machine that is wished for; or why it cannot be had. */
  readonly optionsOf: (wish: Wish) => MachineOptions | string;
  readonly address: string;
  readonly port: number;
  /** Told in a line what is amiss and ends no machine. */
  readonly notice?: (text: string) => void;
  /** As `EncodeTap`'s. */
  readonly fallBack?: (why: string) => void;
}

/** What the machines of one path have shown and copied before the encoder. */
export interface PathTotal {
  readonly path: string;
  readonly frames: number;
  readonly bytes: number;
  /** While these machines ran. */
  readonly seconds: number;
}

/** Machines one after the other under one page: what is wished for runs, and those who watch stay connected. */
export class ViewMachines {
  readonly stream: Stream;
  readonly #options: ViewOptions;
  readonly #originNs: number;
  readonly #sessions = new SessionRunner();
  #machine: Machine;
  #wish: Wish;
  #isRunning = false;
  #next: { readonly wish: Wish; readonly options: MachineOptions } | null = null;
  /** Ends the machine that runs. */
  #stop = new AbortController();
  #figures: ViewFigures | null = null;
  readonly #totals = new Map<string, PathTotal>();

  private constructor(options: ViewOptions, originNs: number, first: Machine, stream: Stream) {
    this.#options = options;
    this.#sessions.onNotice = options.notice ?? (() => {});
    this.#originNs = originNs;
    this.#wish = options.wish;
    this.#machine = first;
    this.stream = stream;
  }

  /** @throws Error why it cannot be served there */
  static async open(options: ViewOptions): Promise<ViewMachines> {
    const first = options.optionsOf(options.wish);
    if (typeof first === 'string') throw new Error(first);
    const originNs = monotonicNowNs();
    const machine = new Machine(first, originNs);
    let view: ViewMachines | null = null;
    const stream = await Stream.open(machine.plan, options.address, options.port, {
      files: VIEW_FILES,
      control: (wish) => view?.control(wish) ?? null,
      greeting: () => view?.state() ?? { type: 'refused', why: 'the view starts' },
    });
    view = new ViewMachines(options, originNs, machine, stream);
    return view;
  }

  /** The newest; null: there are none yet. */
  get figures(): ViewFigures | null {
    return this.#figures;
  }

  /** By path, in the order in which they ran first. */
  get totals(): readonly PathTotal[] {
    return [...this.#totals.values()];
  }

  /** What runs. */
  state(): ViewMessage {
    const { canMove, migration } = this.#machine;
    return { type: 'machine', wish: this.#wish, phase: this.#isRunning ? 'running' : 'starting', canMove, migration };
  }

  /** @param wish `{ "set": { … } }` with some of the wishes, or `{ "evict": true }` @returns why not; null: it is done, or under way */
  control(wish: unknown): string | null {
    if (typeof wish !== 'object' || wish === null) return 'a wish is an object: set, or evict';
    const { set, evict, ...rest }: Record<string, unknown> = { ...wish };
    const [unknown] = Object.keys(rest);
    if (unknown !== undefined) return `there is no '${unknown}' to wish for: set, or evict`;
    if ((set === undefined) === (evict === undefined)) return 'a wish is one of set and evict';
    return set === undefined ? this.#evict(evict) : this.#set(set);
  }

  /**
   * Runs until the signal, or for so long, or until a machine fails.
   * @param seconds 0: until the signal
   * @throws Error why this machine cannot encode
   */
  async run(seconds: number, signal: AbortSignal): Promise<SessionOutcome> {
    const figures = setInterval(() => this.#tick(), FIGURES_MS);
    const ending = seconds === 0 ? signal : AbortSignal.any([signal, AbortSignal.timeout(seconds * 1000)]);
    try {
      let tap = this.stream.tap;
      for (;;) {
        const outcome = await this.#runOne(tap, ending);
        this.#isRunning = false;
        const next = this.#next;
        if (outcome.kind === 'failed' || ending.aborted || next === null) return outcome;
        this.#next = null;
        this.#start(next);
        this.#tell();
        tap = this.stream.next(this.#machine.plan);
      }
    } finally {
      clearInterval(figures);
      this.#machine.close();
    }
  }

  /** Lets all who watch go. */
  async close(): Promise<void> {
    await this.stream.close();
    await this.#sessions.close();
  }

  async #runOne(tap: EncodeTap, ending: AbortSignal): Promise<SessionOutcome> {
    const machine = this.#machine;
    this.#stop = new AbortController();
    // Wished for while the one before ended: this one need not start.
    if (this.#next !== null) this.#stop.abort();
    const window = { warmupMs: 0, warmupFrames: 0, measureMs: FOREVER_MS, measureFrames: 0, usageWindows: 1 };
    const { fallBack } = this.#options;
    const tapped: EncodeTap = {
      packets: tap.packets,
      ...(fallBack === undefined ? {} : { fallBack }),
      started: (encoder) => {
        tap.started(encoder);
        machine.meter.encoder = encoder.link.share;
        machine.startedNs = monotonicNowNs();
        this.#isRunning = true;
        this.#tell();
      },
    };
    const signal = AbortSignal.any([ending, this.#stop.signal]);
    let stoppedNs = 0;
    signal.addEventListener('abort', () => {
      stoppedNs = monotonicNowNs();
    });
    const outcome = await this.#sessions.run(machine.plan, window, FOREVER_MS, signal, machine.remote.buffer, tapped);
    machine.close();
    // That it winds up takes time, too, in which it shows nothing.
    if (this.#isRunning) this.#account(machine, (stoppedNs || monotonicNowNs()) - machine.startedNs);
    return outcome;
  }

  #account({ meter, plan }: Machine, ranNs: number): void {
    const { path } = plan.options;
    const { frames, copied } = meter.total();
    const before = this.#totals.get(path) ?? { frames: 0, bytes: 0, seconds: 0 };
    const seconds = before.seconds + Math.max(0, ranNs) / 1e9;
    this.#totals.set(path, { path, frames: before.frames + frames, bytes: before.bytes + copied, seconds });
  }

  /** The machine that is wished for; one that cannot be had (no memory) is refused to all, and the one before is made again. */
  #start({ wish, options }: { readonly wish: Wish; readonly options: MachineOptions }): void {
    const before = this.#machine.plan.options;
    try {
      this.#machine = new Machine(options, this.#originNs);
      this.#wish = wish;
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.stream.hub.tellAll({ type: 'refused', why: error.message });
      this.#machine = new Machine(before, this.#originNs);
    }
  }

  #set(set: unknown): string | null {
    if (typeof set !== 'object' || set === null) return 'set is an object';
    const wish: Record<string, string> = { ...(this.#next?.wish ?? this.#wish) };
    for (const [name, value] of Object.entries(set)) {
      if (!WISHES.some((one) => one === name)) return `there is no '${name}' to set: ${WISHES.join(', ')}`;
      if (typeof value !== 'string') return `${name} is a word`;
      wish[name] = value;
    }
    const { path = '', resolution = '', rate = '', layout = '' } = wish;
    const wanted: Wish = { path, resolution, rate, layout };
    const options = this.#options.optionsOf(wanted);
    if (typeof options === 'string') return options;
    this.#next = { wish: wanted, options };
    this.#stop.abort();
    return null;
  }

  #evict(evict: unknown): string | null {
    if (evict !== true) return 'evict is true';
    if (!this.#isRunning || this.#next !== null) return 'another machine starts';
    const why = this.#machine.evict();
    if (why === null) this.#tell();
    return why;
  }

  #tell(): void {
    this.stream.hub.tellAll(this.state());
  }

  #tick(): void {
    if (!this.#isRunning) return;
    this.#figures = this.#machine.meter.figures();
    if (this.#machine.follow()) this.#tell();
    this.stream.hub.tellAll({ type: 'meter', ...this.#figures });
  }
}

/** One of them. */
class Machine {
  readonly plan;
  readonly remote: Remote;
  readonly meter: ViewMeter;
  readonly canMove: boolean;
  migration: Migration = 'none';
  /** When its encoder began, `monotonicNowNs()`. */
  startedNs = 0;
  readonly #counters: Counters;
  #moves = 0;
  #refused = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: MachineOptions, originNs: number) {
    this.plan = planMachine(options, originNs);
    const { width, height, rateHz, heads } = options;
    this.remote = new Remote(
      this.plan.control,
      Array.from({ length: heads }, () => ({ width, height, refreshHz: rateHz ?? 60 })),
    );
    this.meter = new ViewMeter(this.plan, () => monotonicNowNs() - originNs, cpuOfTask);
    this.canMove = options.path !== 'copy';
    this.#counters = new Counters(this.plan.guestCounters);
  }

  /** Has a buffer moved, and back after a while. @returns why not; null: it is under way */
  evict(): string | null {
    if (!this.canMove) return 'the path copy has no buffer of the GPU that could be moved';
    if (this.#counters.get(Counter.flushes) === 0) return 'the guest has shown nothing yet';
    if (this.migration !== 'none' && this.migration !== 'refused') return 'a buffer is moved already';
    this.migration = 'out';
    this.remote.moveBuffer();
    return null;
  }

  /** Sees whether the guest has moved it. @returns whether the migration stands elsewhere now */
  follow(): boolean {
    const before = this.migration;
    const moves = this.#counters.get(Counter.moves);
    const movesRefused = this.#counters.get(Counter.movesRefused);
    const hasMoved = moves > this.#moves;
    const isRefused = movesRefused > this.#refused;
    this.#moves = moves;
    this.#refused = movesRefused;
    if (isRefused) this.migration = 'refused';
    else if (hasMoved && this.migration === 'back') this.migration = 'none';
    else if (hasMoved && this.migration === 'out') {
      this.migration = 'away';
      this.#timer = setTimeout(() => {
        this.migration = 'back';
        this.remote.moveBuffer();
      }, AWAY_MS);
    }
    return this.migration !== before;
  }

  close(): void {
    clearTimeout(this.#timer);
  }
}
