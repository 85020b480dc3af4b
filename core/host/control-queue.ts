import { Counter } from '../measure/counters.ts';
import { Feature, Flag, Response } from '../protocol/constants.ts';
import { Header, Size } from '../protocol/layout.ts';
import { writeResponseHeader } from '../protocol/write-response.ts';
import { writeChain } from '../ring/chain.ts';
import type { DeviceQueue } from '../ring/queue.ts';
import { CONTROL_QUEUE } from '../ring/registers.ts';
import { type Context, STALL } from './context.ts';
import { execute, readRequest } from './dispatch.ts';
import { FenceTimeline } from './fence-timeline.ts';
import { FlushAnswer } from './flushes.ts';
import { takeReleases } from './releases.ts';

/** Work of one poll after which the rest waits for the next: registers, releases and the other queue have their turn. */
const SLICE_NS = 4e6;
/** Chains between two looks at the clock, for those that do not look at it themselves. */
const LOOK_EVERY = 16;
/** The largest queue, so the most chains in flight. */
const MAX_IN_FLIGHT = 1024;

/** Rounds until everything in flight is answered: one for the frames held, one for the request that waited for them. */
const MOST_ROUNDS = 4;

/** The control queue in service: requests in, responses out at their time. */
export class ControlQueue {
  readonly #context: Context;
  readonly #timeline = new FenceTimeline(MAX_IN_FLIGHT);
  #queue: DeviceQueue | null = null;
  /** The request in the context waits for a release. */
  #stalled = false;
  /** A release has come since: try again. */
  #retry = false;

  constructor(context: Context) {
    this.#context = context;
  }

  get isOpen(): boolean {
    return this.#queue !== null;
  }

  open(queue: DeviceQueue): void {
    this.#queue = queue;
  }

  /** Forgets the queue and everything in flight. */
  close(): void {
    this.#queue = null;
    this.#stalled = false;
    this.#retry = false;
    this.#timeline.clear();
    this.#context.pushed = 0;
  }

  /** Asks for kicks. @returns true if there is work already */
  enableKicks(): boolean {
    // A stalled queue is woken by the sink's deadline; its waiting chains are no news.
    return !this.#stalled && this.#queue !== null && this.#queue.enableKicks();
  }

  disableKicks(): void {
    this.#queue?.disableKicks();
  }

  /**
   * Serves the available requests, until one has to wait; notes in `workNs` when this poll's work began. A guest that
   * adds requests as fast as they are served gets no more than a queue's length of them, or SLICE_NS, a poll.
   * @throws RingError for a broken ring
   */
  serve(): void {
    const queue = this.#queue;
    const context = this.#context;
    if (queue === null) return;
    const counters = context.options.counters;
    if (this.#stalled) {
      if (!this.#retry) return;
      if (context.workNs < 0) {
        context.now();
        context.workNs = context.nowNs;
      }
      this.#retry = false;
      this.#stalled = false;
      this.#execute(queue);
    }
    for (let served = 0; served < queue.size && !this.#stalled; served++) {
      if (served % LOOK_EVERY === LOOK_EVERY - 1) context.now();
      if (served > 0 && context.nowNs - context.workNs > SLICE_NS) return;
      if (!queue.pop(context.chain)) return;
      if (context.workNs < 0 || context.pickupNs < 0) {
        context.now();
        if (context.workNs < 0) context.workNs = context.nowNs;
        if (context.pickupNs < 0) context.pickupNs = context.nowNs;
      }
      counters.add(Counter.commands, 1);
      context.options.observeChain?.(CONTROL_QUEUE, context.chain);
      // Without room for a response header nothing is done at all (hostile-guest 31).
      if (context.chain.writableBytes < Size.header) {
        counters.add(Counter.errorResponses, 1);
        this.#push(queue, context.chain.head, 0);
      } else if (readRequest(context)) {
        this.#execute(queue);
      } else {
        context.flushSlot = -1;
        this.#respond(queue, Response.ERR_UNSPEC);
      }
    }
  }

  /** Takes what the sink has released up to the context's time. */
  takeReleases(): void {
    if (takeReleases(this.#context, this.#timeline, this.#queue) > 0) this.#retry = true;
  }

  /**
   * Answers all that is in flight and takes nothing new: the sink stops reading for it.
   * @returns whether an interrupt is wanted
   */
  finish(): boolean {
    const queue = this.#queue;
    const context = this.#context;
    let wanted = false;
    if (queue === null) return wanted;
    context.now();
    for (let round = 0; round < MOST_ROUNDS && queue.inFlight > 0; round++) {
      for (const resource of context.resources.all()) if (resource.held > 0) context.options.sink.stop(resource.id);
      this.takeReleases();
      // What waited for a release may hold a frame of its own now.
      if (this.#stalled) {
        this.#stalled = false;
        this.#retry = false;
        this.#execute(queue);
      }
      if (this.publish() === 2) wanted = true;
    }
    return wanted;
  }

  /** Where the queue stands, see QueueConfig; 0 while it is closed. */
  get base(): number {
    return this.#queue?.base ?? 0;
  }

  /** Makes what was returned visible. @returns 0: nothing; 1: no interrupt wanted; 2: one is wanted */
  publish(): 0 | 1 | 2 {
    const queue = this.#queue;
    const context = this.#context;
    if (queue === null) return 0;
    context.pushed += this.#timeline.drain(queue);
    if (context.pushed === 0) return 0;
    context.pushed = 0;
    return queue.publish() ? 2 : 1;
  }

  #execute(queue: DeviceQueue): void {
    const code = execute(this.#context);
    if (code === STALL) this.#stalled = true;
    else this.#respond(queue, code);
  }

  /** Writes the response into the guest's memory; its chain returns now, in fence order, or at the flush's release. */
  #respond(queue: DeviceQueue, code: number): void {
    const context = this.#context;
    const { body, options } = context;
    const fenced = (body[Header.flags] & Flag.FENCE) !== 0;
    const error = code >= Response.ERR_UNSPEC;
    if (error) options.counters.add(Counter.errorResponses, 1);
    if (fenced) {
      const ringIdx = context.has(Feature.CONTEXT_INIT) ? body[Header.flags] & Flag.INFO_RING_IDX : 0;
      writeResponseHeader(
        context.response,
        0,
        code,
        Flag.FENCE | ringIdx,
        body[Header.fenceLo],
        body[Header.fenceHi],
        body[Header.ctxId],
        ringIdx === 0 ? 0 : body[Header.ringIdx],
      );
    } else {
      writeResponseHeader(context.response, 0, code, 0, 0, 0, 0, 0);
    }
    const bytes = writeChain(options.space, context.chain, context.responseU8, 0, error ? Size.header : context.responseBytes);
    const head = context.chain.head;
    const slot = error ? -1 : context.flushSlot;
    if (slot >= 0 && options.fencesOff !== true) {
      if (fenced) {
        context.flushes.answer[slot] = FlushAnswer.fenced;
        context.flushes.token[slot] = this.#timeline.enqueue(head, bytes, false);
      } else {
        context.flushes.answer[slot] = FlushAnswer.unfenced;
        context.flushes.token[slot] = head;
      }
    } else if (fenced && !this.#timeline.empty) {
      this.#timeline.enqueue(head, bytes, true);
    } else {
      this.#push(queue, head, bytes);
    }
  }

  #push(queue: DeviceQueue, head: number, written: number): void {
    queue.push(head, written);
    this.#context.pushed++;
  }
}
