import type { Clock } from '../measure/clock.ts';
import { Counter } from '../measure/counters.ts';
import { CopyStage } from '../memory/ledger.ts';
import { commandName, Flag } from '../protocol/constants.ts';
import { decodeRequest } from '../protocol/request.ts';
import { decodeResponse } from '../protocol/response.ts';
import { CONTROL_QUEUE, CURSOR_QUEUE, Interrupt } from '../ring/registers.ts';
import type { SplitDriver } from '../ring/split/driver.ts';
import type { ChainRecord, FeaturesRecord, RegionsRecord, Trace } from '../trace/trace.ts';
import { ReplayMachine, type ReplayOptions } from './replay-machine.ts';
import { bufferRoom, deviceFeatures, lineOf, planReplay, type ReplayPlan, regionKey } from './replay-plan.ts';
import { startRecorded } from './start-recorded.ts';

export { REPLAY_DEFAULTS, type ReplayOptions } from './replay-machine.ts';
export { planReplay, type ReplayPlan } from './replay-plan.ts';

/** Host work for the commands of one name, µs: from taking a command to giving its answer back, waiting for the sink left out. */
export interface CommandTime {
  count: number;
  meanUs: number;
  maxUs: number;
}

export interface ReplayError {
  /** Line of the trace. */
  line: number;
  command: string;
  /** The response's name, or what was wrong in words. */
  response: string;
}

export interface ReplayFallback {
  resourceId: number;
  /** Names the limit. */
  reason: string;
  /** Memory entries of the buffer. */
  entries: number;
  /** Line of the command that gave the buffer. */
  line: number;
}

export interface ReplayResult {
  /** Chains played, by command name. */
  commands: Record<string, number>;
  /** Responses of the control queue by name; the cursor queue has none. */
  responses: Record<string, number>;
  /** Pixel bytes that the host copied: TRANSFER_TO_HOST_2D, and imports that became copies. */
  bytesCopied: number;
  /** Bytes of cursor images that the host took over. */
  cursorBytesCopied: number;
  fallbacks: ReplayFallback[];
  /** In the order of the trace; the last one may have ended the replay. */
  errors: ReplayError[];
  times: Record<string, CommandTime>;
  /** Changes of the memory table after it was first set. */
  memoryChanges: number;
}

/** Polls within which the host must have answered a chain. */
const MAX_POLLS = 10_000;

/**
 * Plays a recorded trace into a host device of its own, through real rings: the guest is the trace. Chains go in one at a
 * time, in their order and not before their recorded (virtual) time, each as it was recorded: direct or indirect, buffers of the
 * recorded lengths. A guest that has only one chain in flight never depends on an answer that it has not seen.
 */
export class Replay {
  readonly #records: Trace['records'];
  readonly #plan: ReplayPlan;
  readonly #machine: ReplayMachine;
  /** Times the host's work; the device itself runs on virtual time. */
  readonly #timer: Clock;
  #queues: SplitDriver[] = [];
  #next = 0;
  #memorySet = false;
  #ended = false;
  /** The host's work for the chain in flight, ns. */
  #serviceNs = 0;
  #response = new Uint8Array(0);
  #fallbacksSeen = 0;
  readonly #result: ReplayResult = {
    commands: {},
    responses: {},
    bytesCopied: 0,
    cursorBytesCopied: 0,
    fallbacks: [],
    errors: [],
    times: {},
    memoryChanges: 0,
  };

  /** @throws TraceError for a trace that can't be played */
  constructor(trace: Trace, options: ReplayOptions, timer: Clock, plan: ReplayPlan = planReplay(trace)) {
    this.#records = trace.records;
    this.#plan = plan;
    this.#machine = new ReplayMachine(trace.header, plan, options);
    this.#timer = timer;
  }

  /** Plays up to `records` records. @returns whether there are more */
  play(records = Number.POSITIVE_INFINITY): boolean {
    const end = Math.min(this.#records.length, this.#next + records);
    while (!this.#ended && this.#next < end) {
      const record = this.#records[this.#next];
      const line = lineOf(this.#next++);
      if (record.kind === 'features') this.#negotiate(record);
      else if (record.kind === 'regions') this.#changeMemory(record);
      else this.#playChain(record, line);
    }
    return !this.#ended && this.#next < this.#records.length;
  }

  /** What happened so far. */
  get result(): ReplayResult {
    const { ledger } = this.#machine;
    this.#result.bytesCopied = ledger.bytesCopied(CopyStage.transfer) + ledger.bytesCopied(CopyStage.fallback);
    this.#result.cursorBytesCopied = ledger.bytesCopied(CopyStage.cursor);
    return this.#result;
  }

  /** virtio 1.3 § 3.1.1, from reset to DRIVER_OK. */
  #negotiate(record: FeaturesRecord): void {
    const { registers, space, queues, device } = this.#machine;
    this.#queues = startRecorded(registers, space, queues, deviceFeatures(record), (status) => this.#setStatus(status));
    device.prepareSleep();
  }

  /** The plan has checked all that the device may refuse here, so a refusal is a fault of this program. */
  #setStatus(status: number): void {
    const { registers, device } = this.#machine;
    registers.status = status;
    device.poll();
    if (registers.deviceStatus !== status) throw new Error(`the device answered status ${status} with ${registers.deviceStatus}`);
  }

  /** The regions that are not named leave before the new ones come, for these may lie over them. */
  #changeMemory(record: RegionsRecord): void {
    const { device, space } = this.#machine;
    const first = !this.#memorySet;
    this.#memorySet = true;
    // Until the device is up the plan's initial table holds.
    if (this.#queues.length === 0) return;
    const named = new Set(record.regions.map(regionKey));
    let changed = false;
    for (const leaves of [true, false]) {
      for (const region of this.#plan.regions) {
        const present = named.has(regionKey(region));
        if (present === leaves || ((space.regions[region.id] ?? null) !== null) === present) continue;
        device.setRegionPresent(region.id, present);
        changed = true;
      }
    }
    if (changed && !first) this.#result.memoryChanges++;
  }

  #playChain(chain: ChainRecord, line: number): void {
    const { clock, counters, device } = this.#machine;
    const result = this.#result;
    const command = chain.request.length < 4 ? 'none' : commandName(typeOf(chain.request));
    clock.advanceTo(chain.t * 1000);
    const imports = counters.get(Counter.importFallbacks);
    const cursorErrors = counters.get(Counter.cursorErrors);
    this.#place(chain);
    this.#serviceNs = 0;
    device.endSleep();
    const answered = this.#waitForAnswer(this.#queues[chain.queue]);
    count(result.commands, command);
    this.#time(command, this.#serviceNs);
    if (!answered) {
      this.#ended = true;
      const why = device.ringError;
      result.errors.push({ line, command, response: why === null ? 'no answer' : `the device needs a reset: ${why.message}` });
      return;
    }
    device.prepareSleep();
    if (counters.get(Counter.importFallbacks) > imports) this.#noteFallback(chain, line);
    if (chain.queue === CURSOR_QUEUE) {
      if (counters.get(Counter.cursorErrors) > cursorErrors) result.errors.push({ line, command, response: 'refused' });
      return;
    }
    this.#takeResponse(chain);
    const fault = this.#checkResponse(chain);
    if (fault !== null) result.errors.push({ line, command, response: fault });
  }

  /** Writes the request's bytes and puts the chain into its ring. */
  #place(chain: ChainRecord): void {
    const { rings, buffers } = this.#machine;
    const queue = this.#queues[chain.queue];
    let at = buffers;
    let from = 0;
    queue.begin();
    for (const length of chain.readable) {
      rings.u8.set(chain.request.subarray(from, from + length), at - rings.gpa);
      queue.readable(at, length);
      from += length;
      at += bufferRoom(length);
    }
    for (const length of chain.writable) {
      // Nothing of an earlier answer may pass for this one's.
      rings.u8.fill(0, at - rings.gpa, at - rings.gpa + length);
      queue.writable(at, length);
      at += bufferRoom(length);
    }
    queue.indirectFrom = chain.indirect ? 1 : Number.POSITIVE_INFINITY;
    if (!queue.submit(0)) throw new Error('a ring without a chain in flight has no room');
    queue.enableInterrupts();
    if (!queue.publish()) throw new Error('the host sleeps, but its ring asks for no kick');
  }

  /** The guest sleeps until its interrupt; virtual time passes while the host waits for the sink. */
  #waitForAnswer(queue: SplitDriver): boolean {
    const { device, registers, clock } = this.#machine;
    const timer = this.#timer;
    for (let polls = 0; polls < MAX_POLLS; polls++) {
      timer.read();
      const start = timer.slot[0];
      const progressed = device.poll();
      timer.read();
      this.#serviceNs += timer.slot[0] - start;
      if ((registers.takeInterrupts() & Interrupt.USED_BUFFER) !== 0 && queue.popUsed()) return true;
      if (progressed) continue;
      const next = device.deadline[0];
      if (device.needsReset || next === Number.POSITIVE_INFINITY) return false;
      clock.advanceTo(next);
    }
    return false;
  }

  /** Gathers what the host says it has written. */
  #takeResponse(chain: ChainRecord): void {
    const { rings, buffers } = this.#machine;
    const room = chain.writable.reduce((total, length) => total + length, 0);
    const bytes = new Uint8Array(Math.min(room, this.#queues[CONTROL_QUEUE].usedLength));
    let at = buffers - rings.gpa;
    for (const length of chain.readable) at += bufferRoom(length);
    let done = 0;
    for (const length of chain.writable) {
      const part = rings.u8.subarray(at, at + Math.min(length, bytes.length - done));
      bytes.set(part, done);
      done += part.length;
      at += bufferRoom(length);
    }
    this.#response = bytes.subarray(0, done);
  }

  /** Counts the response. @returns what is wrong with it, null: nothing */
  #checkResponse(chain: ChainRecord): string | null {
    const response = decodeResponse(this.#response);
    if ('error' in response) return response.error;
    count(this.#result.responses, response.name);
    if (response.name.startsWith('ERR_')) return response.name;
    const request = decodeRequest(chain.request);
    if ('error' in request || (request.flags & Flag.FENCE) === 0) return null;
    const same = (response.flags & Flag.FENCE) !== 0 && response.fenceLo === request.fenceLo && response.fenceHi === request.fenceHi;
    return same ? null : `${response.name} without the request's fence`;
  }

  #noteFallback(chain: ChainRecord, line: number): void {
    const request = decodeRequest(chain.request);
    if ('error' in request || !('entries' in request)) return;
    // The device keeps only its first reasons.
    const reason = this.#machine.device.fallbacks[this.#fallbacksSeen]?.reason ?? 'not kept by the host';
    this.#fallbacksSeen++;
    this.#result.fallbacks.push({ resourceId: request.resource, reason, entries: request.entries.length, line });
  }

  #time(command: string, ns: number): void {
    const us = ns / 1000;
    this.#result.times[command] ??= { count: 0, meanUs: 0, maxUs: 0 };
    const time = this.#result.times[command];
    time.count++;
    time.meanUs += (us - time.meanUs) / time.count;
    time.maxUs = Math.max(time.maxUs, us);
  }
}

function typeOf(request: Uint8Array): number {
  return new DataView(request.buffer, request.byteOffset, request.byteLength).getUint32(0, true);
}

function count(into: Record<string, number>, name: string): void {
  into[name] = (into[name] ?? 0) + 1;
}
