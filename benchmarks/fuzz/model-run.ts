import type * as FastCheck from 'fast-check';
import { HIGH } from '../../core/machine/testing/host-rig.ts';
import { Counter } from '../../core/measure/counters.ts';
import { Command, commandName, responseName } from '../../core/protocol/constants.ts';
import { REGION_BYTES, type Send, type Step, stepArbitrary } from './commands.ts';
import { hold, same } from './failure.ts';
import { FuzzHost, HEADS, type Part } from './host.ts';
import type { FuzzMemory } from './memory.ts';
import { HostModel, type Limits, NOTHING } from './model.ts';
import type { RingKind, Watched } from './plan.ts';

const LIMITS: Limits = { heads: HEADS, maxEntries: 8, maxBytes: 100_000, listLimit: 4, sizeLimit: 1 << 20 };
const SLOTS = 24;
const SLOT_BYTES = 512;
const MOST_STEPS = 60;

/** The host and its requests that were not compared with the model yet. */
interface Real {
  readonly host: FuzzHost;
  readonly expected: Map<number, { readonly bytes: Uint8Array; readonly type: number }>;
}

/** Sequences of commands whose every answer the model foretells. @param watched runs each of them */
export function modelProperty(
  fc: typeof FastCheck,
  memory: FuzzMemory,
  kind: RingKind,
  watched: Watched,
  replayPath?: string,
): FastCheck.IProperty<[Iterable<FastCheck.Command<HostModel, Real>>]> {
  const steps = stepArbitrary(fc).map((step) => new StepCommand(step));
  const constraints = { maxCommands: MOST_STEPS, size: 'max' as const, ...(replayPath === undefined ? {} : { replayPath }) };
  return fc.property(fc.commands([steps], constraints), (commands) => {
    watched(() => {
      const host = newHost(memory, kind);
      const regions = host.rig.regions.map(({ gpa, size, device }) => ({ gpa, size, device: device !== null }));
      const model = new HostModel(LIMITS, regions);
      const real: Real = { host, expected: new Map() };
      fc.modelRun(() => ({ model, real }), commands);
      compare(model, real);
      host.finish();
    });
  });
}

function newHost(memory: FuzzMemory, kind: RingKind): FuzzHost {
  return new FuzzHost(memory, {
    ...kind,
    regionBytes: REGION_BYTES,
    scanoutNs: 1000,
    slots: SLOTS,
    slotBytes: SLOT_BYTES,
    maxEntries: LIMITS.maxEntries,
    maxHostmem: LIMITS.maxBytes,
    udmabuf: { listLimit: LIMITS.listLimit, sizeLimitMb: LIMITS.sizeLimit / 2 ** 20 },
  });
}

/** One step, carried out on the host and on the model. */
class StepCommand implements FastCheck.Command<HostModel, Real> {
  readonly step: Step;

  constructor(step: Step) {
    this.step = step;
  }

  /** A hostile guest may do anything at any time. */
  check(): boolean {
    return true;
  }

  run(model: HostModel, real: Real): void {
    const { step } = this;
    const { host } = real;
    if (step.kind === 'pass') {
      host.pass(step.ns);
    } else if (step.kind === 'reset') {
      compare(model, real);
      restart(model, real);
    } else if (step.kind === 'region') {
      compare(model, real);
      host.rig.device.setRegionPresent(step.id, step.present);
      if (model.regions[step.id].present !== step.present) model.setPresent(step.id, step.present);
      compare(model, real);
    } else {
      for (const one of step.kind === 'frame' ? step.sends : [step]) send(model, real, one);
    }
  }

  toString(): string {
    const { step } = this;
    if (step.kind === 'send') return textOf(step);
    return step.kind === 'frame' ? step.sends.map(textOf).join('\n  ') : JSON.stringify(step);
  }
}

function textOf({ bytes, kind: _, ...how }: Send): string {
  const words = new Uint32Array(Math.ceil(bytes.length / 4));
  new Uint8Array(words.buffer).set(bytes);
  const body = [...words.subarray(1)].map((word) => `0x${word.toString(16)}`).join(' ');
  return `${commandName(words[0])}, ${bytes.length} bytes [${body}] ${JSON.stringify(how)}`;
}

function send(model: HostModel, real: Real, step: Send): void {
  const { host } = real;
  const { bytes, odd } = step;
  const type = bytes.length < 4 ? 0 : new DataView(bytes.buffer).getUint32(0, true);
  const allocates =
    type === Command.RESOURCE_CREATE_2D || type === Command.RESOURCE_CREATE_BLOB || type === Command.RESOURCE_ATTACH_BACKING;
  // Memory comes back when the sink has read, so what a request for more is answered is clear only then. The queues are served
  // apart, so of two requests in both of them either may be the first.
  if (allocates || step.cursor || odd !== null || !host.hasRoom) compare(model, real);
  const cut = step.split > 0 && step.split < bytes.length ? step.split : 0;
  const readable: Part[] = cut === 0 ? [{ length: bytes.length }] : [{ length: cut }, { length: bytes.length - cut }];
  const writable: Part[] = step.writable === 0 ? [] : [{ length: step.writable }];
  if (odd !== null) {
    const list = odd.which === 'request' || writable.length === 0 ? readable : writable;
    const { length } = list[list.length - 1];
    // Of the cursor queue's buffers none overlaps the control queue's ring as far as its own device can tell.
    const place = step.cursor && odd.place === 'ring' ? 'gap' : odd.place;
    list[list.length - 1] = { length, address: placeOf(host, place, odd.by, length) };
    const { address } = list[list.length - 1];
    if (place === 'ring' || model.find(address ?? 0, length) === null) {
      host.post(bytes, readable, writable, step.cursor);
      host.run();
      hold(host.rig.device.needsReset, 'a buffer that no guest may name did not break the ring');
      restart(model, real);
      host.unborrow();
      return;
    }
  }
  const token = host.post(bytes, readable, writable, step.cursor);
  if (step.cursor) {
    model.cursor(bytes);
    real.expected.set(token, { bytes, type: NOTHING });
  } else {
    real.expected.set(token, { bytes, type: model.control(bytes, step.writable) });
  }
  if (step.after === 'run') host.run();
  if (step.after === 'settle' || odd !== null || step.cursor) compare(model, real);
}

/** Time passes; every answer and all that is held has to be as the model says. */
function compare(model: HostModel, real: Real): void {
  const { host, expected } = real;
  host.settle();
  hold(!host.rig.device.needsReset, `a valid ring was taken for a broken one: ${host.rig.device.ringError?.message}`);
  for (const [token, { bytes, type }] of expected) {
    const found = host.typeOf(token, bytes);
    if (found !== type) same(nameOf(found), nameOf(type), 'an answer');
  }
  expected.clear();
  host.answers.clear();
  const { device, counters } = host.rig;
  same(`${device.budgetUsed} bytes, ${device.segmentsUsed} segments, ${device.resourceCount} resources`, model.held, 'held');
  same(counters.get(Counter.cursorErrors), model.cursorErrors, 'errors of the cursor queue');
  host.unborrow();
}

const nameOf = (type: number): string => (type === NOTHING ? 'used length 0' : responseName(type));

function restart(model: HostModel, real: Real): void {
  real.host.start();
  real.expected.clear();
  model.reset();
  same(real.host.budgets(), '0 bytes, 0 segments, 0 resources, 0 images, 0+0 exported', 'held after reset');
}

function placeOf(host: FuzzHost, place: string, by: number, length: number): number {
  if (place === 'end') return HIGH + REGION_BYTES - length + by;
  if (place === 'gap') return HIGH - 4096;
  if (place === 'far') return Number.MAX_SAFE_INTEGER - 8;
  return host.rig.placed(0).config.deviceAddress - length + 1;
}
