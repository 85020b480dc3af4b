import { afterEach, describe, expect, it, vi } from 'vitest';
import { Reply } from '../../core/guest/driver.ts';
import { ResourceIds } from '../../core/guest/resource.ts';
import { parseFaults } from '../../core/machine/faults.ts';
import { PATHS } from '../../core/machine/options.ts';
import { RegionName } from '../../core/machine/plan.ts';
import { Counter } from '../../core/measure/counters.ts';
import { Command, Response } from '../../core/protocol/constants.ts';
import { Size } from '../../core/protocol/layout.ts';
import { writeResource } from '../../core/protocol/write.ts';
import { Status } from '../../core/ring/registers.ts';
import { InlineMachine } from '../../workers/inline.ts';
import { smallOptions, summary } from '../support/inline-run.ts';
import { RING_KINDS } from '../support/ring-kinds.ts';

const SMALL = { rateHz: 60, buffers: 3, width: 320, height: 200 } as const;
const STAGES = ['host-dies-holding', 'host-dies-scanning', 'host-dies-before-answer', 'host-dies-after-answer', 'host-exits'] as const;

function machineWith(faults: string, options: Parameters<typeof smallOptions>[0] = {}, replaces = true): InlineMachine {
  return new InlineMachine(smallOptions({ path: 'vfio', ...SMALL, ...options, faults: parseFaults(faults) }), { replaces });
}

/** Resource ids that the guest's buffers have now. */
const idsOf = ({ guest }: InlineMachine): number[] =>
  guest.heads.flatMap(({ surfaces }) => surfaces.map(({ framebuffer }) => framebuffer.resource.id));

/** All of the guest's RAM that rings, commands and entries lie in. */
function lowRam({ plan }: InlineMachine): Uint32Array {
  const region = plan.regions.find(({ name }) => name === RegionName.lowRam);
  if (region === undefined) throw new Error('a machine has low RAM');
  return new Uint32Array(region.memory.buffer);
}

describe('a host that is replaced (hostile-guest "Faults": host restart)', () => {
  it.each(STAGES.flatMap((stage) => PATHS.map((path) => [stage, path] as const)))(
    '%s on %s: a new session, everything set up anew, frames go on, none torn',
    (stage, path) => {
      const machine = machineWith(`${stage}@5`, { path });
      const before = idsOf(machine);
      machine.runUntil(() => machine.deaths.length > 0);
      machine.runFrames(20);
      expect(machine.deaths).toEqual(['host']);
      expect(machine.guest.registers.generation).toBe(1);
      expect(machine.guest.counters.get(Counter.reinitialisations)).toBe(1);
      expect(Math.min(...idsOf(machine))).toBeGreaterThan(Math.max(...before));
      machine.finish();
      const result = summary(machine.plan, machine.guest.compositor.committed);
      expect(result).toMatchObject({ torn: 0, errors: 0 });
      expect(result.verified).toBe(result.presented);
      expect(result.presented).toBeGreaterThanOrEqual(20);
      const { device } = machine.host;
      expect([device.budgetUsed, device.resourceCount, device.segmentsUsed, machine.guest.heldBytes]).toEqual([0, 0, 0, 0]);
    },
  );

  it.each(RING_KINDS)('no descriptor is recycled before the reset, on a ring of %o', (kind) => {
    const machine = machineWith('host-dies-holding@5', kind, false);
    machine.runUntil(() => !machine.alive.host);
    const { commands } = machine.guest.driver;
    // The guest goes on for as long as it has buffers: each frame ends after 50 ms, and no answer comes.
    let inFlight = commands.inFlight;
    expect(inFlight).toBeGreaterThan(0);
    for (let i = 0; i < 200; i++) {
      machine.step();
      expect(commands.inFlight).toBeGreaterThanOrEqual(inFlight);
      inFlight = commands.inFlight;
    }
    expect(machine.guest.counters.get(Counter.fencesTimedOut)).toBe(3);
    const old = machine.guest.driver;
    const left = lowRam(machine).slice();
    machine.replace('host');
    const { device } = machine.host;
    const poll = device.poll.bind(device);
    let looked = 0;
    let answered = false;
    device.poll = () => {
      // Until the new host has answered the reset, not a word of rings, tables, requests and entries has changed.
      answered ||= machine.guest.registers.statusSeen === 0;
      if (!answered) {
        looked++;
        expect(Buffer.compare(new Uint8Array(lowRam(machine).slice().buffer), new Uint8Array(left.buffer))).toBe(0);
      }
      return poll();
    };
    machine.runUntil(() => machine.guest.driver !== old);
    expect(looked).toBeGreaterThan(0);
    machine.runFrames(10);
    machine.finish();
    expect(summary(machine.plan, 0)).toMatchObject({ torn: 0, errors: 0 });
  });

  it('a new host takes nothing of an old session: kicks are ignored and any status but 0 is refused', () => {
    const machine = machineWith('host-dies-holding@5', {}, false);
    machine.runUntil(() => !machine.alive.host);
    const { registers, counters } = machine.guest;
    const served = machine.host.counters.get(Counter.commands);
    machine.replace('host');
    const { device } = machine.host;
    const looks = [registers.status, Status.ACKNOWLEDGE, Status.ACKNOWLEDGE | Status.DRIVER | Status.FEATURES_OK | Status.DRIVER_OK];
    for (const status of looks) {
      registers.status = status;
      for (let i = 0; i < 3; i++) device.poll();
      expect(registers.deviceStatus & Status.NEEDS_RESET).not.toBe(0);
      expect(registers.deviceStatus & Status.DRIVER_OK).toBe(0);
    }
    expect(machine.host.counters.get(Counter.commands)).toBe(served);
    expect(device.resourceCount).toBe(0);
    expect(machine.host.counters.get(Counter.staleDrivers)).toBe(1);
    machine.runFrames(10);
    expect(counters.get(Counter.reinitialisations)).toBe(1);
  });

  it.each(PATHS)('%s: resource ids of the session before are refused', (path) => {
    const machine = machineWith('host-dies-scanning@5', { path });
    const old = idsOf(machine);
    machine.runUntil(() => machine.deaths.length > 0);
    machine.runFrames(5);
    machine.drain();
    for (const id of old) expect(detach(machine, id)).toBe(Response.ERR_INVALID_RESOURCE_ID);
    machine.guest.shutDown();
  });

  it('fences of the session before end cancelled, never signalled', () => {
    const machine = machineWith('host-dies-before-answer@5', {}, false);
    machine.runUntil(() => !machine.alive.host);
    const fence = machine.guest.heads[0].plane.current?.fence ?? null;
    expect(fence?.state).toBe('pending');
    machine.replace('host');
    machine.runFrames(5);
    expect(fence?.state).toBe('cancelled');
    expect(machine.guest.counters.get(Counter.fencesCancelled)).toBe(1);
  });

  it('a host that dies while the guest sets up again is replaced as well', () => {
    const machine = machineWith('host-dies-holding@5', {}, false);
    machine.runUntil(() => !machine.alive.host);
    machine.replace('host');
    const { device } = machine.host;
    const poll = device.poll.bind(device);
    let turns = 0;
    device.poll = () => {
      const progressed = poll();
      // In the middle of probing: the queues are set up, the display's answers are awaited.
      if (++turns === 5) machine.kill('host');
      return progressed;
    };
    machine.runFrames(20);
    expect(machine.deaths).toEqual(['host', 'host']);
    expect(machine.guest.registers.generation).toBe(2);
    machine.finish();
    expect(summary(machine.plan, 0)).toMatchObject({ torn: 0, errors: 0 });
  });
});

describe('a guest that loses its device while it sets up', () => {
  afterEach(() => vi.restoreAllMocks());

  // Imports are not waited for: no attempt fails in the middle of those.
  it.each(PATHS.filter((path) => path !== 'vfio' && path !== 'udmabuf'))('%s: ids of the failed attempt are never used again', (path) => {
    const machine = machineWith('doubled-kick@1000000', { path });
    const taken = vi.spyOn(ResourceIds.prototype, 'take');
    const old = idsOf(machine);
    machine.runFrames(5);
    machine.kill('guest', false);
    const { device } = machine.host;
    const poll = device.poll.bind(device);
    const prepareSleep = device.prepareSleep.bind(device);
    // Silent from the second buffer on, for as long as it takes the guest to give it up.
    const silent = (): boolean => taken.mock.results.length >= 2 && machine.guest.counters.get(Counter.reinitialisations) === 0;
    device.poll = () => !silent() && poll();
    device.prepareSleep = () => !silent() && prepareSleep();
    machine.replace('guest');
    machine.runFrames(5);
    expect(machine.guest.counters.get(Counter.reinitialisations)).toBe(1);
    const ids = [...old, ...taken.mock.results.map(({ value }) => value as number)];
    expect(ids.length).toBeGreaterThanOrEqual(2 + 2 * SMALL.buffers);
    expect(new Set(ids).size).toBe(ids.length);
    machine.finish();
    expect(summary(machine.plan, 0)).toMatchObject({ torn: 0, errors: 0 });
  });
});

function detach(machine: InlineMachine, id: number): number {
  const { driver } = machine.guest;
  const { commands } = driver;
  const reply = new Reply();
  const slot = driver.openCommand();
  const bytes = writeResource(commands.words, commands.requestWord(slot), Command.RESOURCE_DETACH_BACKING, id);
  driver.submit(slot, bytes, Size.header, 0, 0, null, reply, 0);
  commands.notify();
  driver.waitFor(() => reply.done);
  return reply.type;
}
