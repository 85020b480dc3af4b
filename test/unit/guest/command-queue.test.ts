import { describe, expect, it } from 'vitest';
import { Fence } from '../../../core/dmabuf/fence.ts';
import { COMMAND_SLOT_BYTES, type CommandOwner } from '../../../core/guest/command-queue.ts';
import { Counter } from '../../../core/measure/counters.ts';
import { Command, Feature, Flag, Response } from '../../../core/protocol/constants.ts';
import { Size } from '../../../core/protocol/layout.ts';
import { writeResource, writeSimple } from '../../../core/protocol/write.ts';
import { BASE_FEATURES, Rig, type RigOptions, type Seen } from './rig.ts';

const holdUnref = (seen: Seen): boolean => seen.name === 'RESOURCE_UNREF';
const ready = (options: RigOptions = {}): Rig => {
  const rig = new Rig({ hold: holdUnref, ...options });
  rig.forget();
  return rig;
};

class Owner implements CommandOwner {
  readonly got: [kind: number, response: number][] = [];
  onDone: () => void = () => {};

  commandDone(kind: number, response: number): void {
    this.got.push([kind, response]);
    this.onDone();
  }
}

/** UNREF of `id`, held by the host. */
function send(rig: Rig, id: number, fence: Fence | null = null, owner: CommandOwner | null = null, kind = 0): boolean {
  const { commands } = rig.driver;
  const slot = commands.open();
  if (slot < 0) return false;
  return commands.submit(
    slot,
    writeResource(commands.words, commands.requestWord(slot), Command.RESOURCE_UNREF, id),
    Size.header,
    0,
    0,
    fence,
    owner,
    kind,
  );
}

const fences = (count: number): Fence[] => Array.from({ length: count }, (_, i) => new Fence(1, i + 1));

describe('command queue', () => {
  it('numbers fences at enqueue, one after the other; unfenced commands take no number (virtio-gpu §1)', () => {
    const rig = ready();
    const [a, b] = fences(2);
    send(rig, 10, a);
    send(rig, 11);
    send(rig, 12, b);
    rig.driver.commands.notify();
    rig.run();
    expect(rig.host.seen.map(({ fenced, fence }) => [fenced, ...fence])).toEqual([
      [true, 1, 0],
      [false, 0, 0],
      [true, 2, 0],
    ]);
  });

  it('a fence id goes from the low to the high word without a gap', () => {
    const rig = ready();
    // Each of 2^32 ids would take too long: 300 stand for the rule that only the low word moves until it is full.
    for (let i = 0; i < 300; i++) {
      const fence = new Fence(1, i + 1);
      send(rig, i + 2, fence);
      rig.driver.commands.notify();
      rig.run();
      expect(rig.host.seen[i].fence).toEqual([i + 1, 0]);
      rig.host.release();
      rig.run();
      expect(fence.state).toBe('signalled');
    }
  });

  it('a response signals its fence and every earlier one, none that came later', () => {
    const rig = ready();
    const [a, b, c] = fences(3);
    for (const fence of [a, b, c]) send(rig, 10, fence);
    rig.driver.commands.notify();
    rig.run();
    rig.host.release(rig.host.held[1]);
    rig.run();
    expect([a.state, b.state, c.state]).toEqual(['signalled', 'signalled', 'pending']);
    rig.host.release(rig.host.held[0]);
    rig.run();
    expect(c.state).toBe('pending');
    rig.host.release();
    rig.run();
    expect(c.state).toBe('signalled');
  });

  it('a response that echoes an unknown fence id signals nothing', () => {
    const rig = ready();
    const [a, b] = fences(2);
    send(rig, 10, a);
    send(rig, 11, b);
    rig.driver.commands.notify();
    rig.run();
    rig.host.releaseWith(rig.host.held[1], Response.OK_NODATA, Flag.FENCE, 2, 7);
    rig.run();
    expect([a.state, b.state]).toEqual(['pending', 'pending']);
  });

  it('a fenced command that was refused still signals: the host is done with it', () => {
    const rig = ready();
    const [a] = fences(1);
    send(rig, 10, a);
    rig.driver.commands.notify();
    rig.run();
    rig.host.release(undefined, Response.ERR_UNSPEC);
    rig.run();
    expect(a.state).toBe('signalled');
    expect(rig.counters.get(Counter.errorResponses)).toBe(1);
  });

  it('the owner is told kind and response type, and no longer after that', () => {
    const rig = ready();
    const owner = new Owner();
    send(rig, 10, null, owner, 7);
    send(rig, 11, null, owner, 8);
    rig.driver.commands.notify();
    rig.run();
    rig.host.release(undefined, Response.ERR_INVALID_RESOURCE_ID);
    rig.host.release();
    rig.run();
    rig.run();
    expect(owner.got).toEqual([
      [7, Response.ERR_INVALID_RESOURCE_ID],
      [8, Response.OK_NODATA],
    ]);
  });

  it('slots are recycled: a slot in use is never given out, and a thousand commands pass through 64', () => {
    const rig = ready({ hold: () => false });
    const owner = new Owner();
    for (let round = 0; round < 16; round++) {
      const slots = new Set<number>();
      for (let i = 0; i < 64; i++) {
        const slot = rig.driver.commands.open();
        expect(slots.has(slot)).toBe(false);
        slots.add(slot);
        const { commands } = rig.driver;
        expect(
          commands.submit(
            slot,
            writeSimple(commands.words, commands.requestWord(slot), Command.GET_DISPLAY_INFO),
            Size.respDisplayInfo,
            0,
            0,
            null,
            owner,
            slot,
          ),
        ).toBe(true);
      }
      rig.driver.commands.notify();
      rig.run();
      expect(rig.driver.commands.inFlight).toBe(0);
    }
    expect(owner.got).toHaveLength(1024);
  });

  it('a full ring takes nothing more until a response comes; nothing is lost meanwhile', () => {
    const rig = ready();
    for (let i = 0; i < 64; i++) expect(send(rig, 100 + i)).toBe(true);
    expect(rig.driver.commands.hasRoom(1)).toBe(false);
    expect(rig.driver.commands.open()).toBe(-1);
    rig.driver.commands.notify();
    rig.run();
    expect(rig.host.held).toHaveLength(64);
    rig.host.release(rig.host.held[10]);
    rig.run();
    expect(rig.driver.commands.hasRoom(1)).toBe(true);
    expect(rig.driver.commands.hasRoom(2)).toBe(false);
    expect(send(rig, 200)).toBe(true);
    rig.driver.commands.notify();
    rig.run();
    expect(rig.host.of('RESOURCE_UNREF').map(({ resource }) => resource)).toEqual([...Array.from({ length: 64 }, (_, i) => 100 + i), 200]);
  });

  it('without INDIRECT_DESC a command takes two descriptors, and room is counted in those', () => {
    const features = BASE_FEATURES & ~(1 << Feature.INDIRECT_DESC);
    const rig = ready({ features });
    expect(rig.driver.commands.hasRoom(32)).toBe(true);
    expect(rig.driver.commands.hasRoom(33)).toBe(false);
    for (let i = 0; i < 32; i++) expect(send(rig, 100 + i)).toBe(true);
    expect(rig.driver.commands.hasRoom(1)).toBe(false);
  });

  it('a command that the ring had no room for waits with its bytes unharmed, whatever the answers set off', () => {
    const features = BASE_FEATURES & ~(1 << Feature.INDIRECT_DESC);
    const rig = ready({ features });
    const owner = new Owner();
    let reentered = 0;
    // An owner that sends a command of its own when it is answered takes the slot that has just come free.
    owner.onDone = () => {
      if (reentered++ === 0) send(rig, 900);
    };
    for (let i = 0; i < 32; i++) send(rig, 100 + i, null, owner);
    rig.onIdle = () => {
      if (rig.host.held.length === 0) return false;
      rig.host.release();
      return true;
    };
    const { driver } = rig;
    const slot = driver.openCommand();
    const bytes = writeResource(driver.commands.words, driver.commands.requestWord(slot), Command.RESOURCE_DETACH_BACKING, 777);
    driver.submit(slot, bytes, Size.header, 0, 0, null, null, 0);
    driver.commands.notify();
    rig.run();
    expect(rig.host.of('RESOURCE_DETACH_BACKING').map(({ resource }) => resource)).toEqual([777]);
    expect(rig.host.of('RESOURCE_UNREF').map(({ resource }) => resource)).toContain(900);
  });

  it('a batch is published at once: no command is seen before notify, one kick for all', () => {
    const rig = ready();
    for (let i = 0; i < 5; i++) send(rig, 10 + i);
    rig.run();
    expect(rig.host.seen).toHaveLength(0);
    const kicks = rig.counters.get(Counter.kicks) + rig.counters.get(Counter.kicksSuppressed);
    rig.driver.commands.notify();
    rig.driver.commands.notify();
    expect(rig.counters.get(Counter.kicks) + rig.counters.get(Counter.kicksSuppressed)).toBe(kicks + 1);
    rig.run();
    expect(rig.host.seen).toHaveLength(5);
  });

  it('a reset cancels pending fences; a late answer does not revive them', () => {
    const rig = ready();
    const [a, b] = fences(2);
    send(rig, 10, a);
    send(rig, 11, b);
    rig.driver.commands.notify();
    rig.run();
    rig.driver.reset();
    expect([a.state, b.state]).toEqual(['cancelled', 'cancelled']);
    a.signal();
    expect(a.state).toBe('cancelled');
  });

  it('a type 0 left in the response slot is counted as an error: it was never written', () => {
    const rig = ready();
    send(rig, 10);
    rig.driver.commands.notify();
    rig.run();
    rig.host.releaseWith(rig.host.held[0], 0, 0, 0, 0);
    rig.run();
    expect(rig.counters.get(Counter.errorResponses)).toBe(1);
  });

  it('slots lie apart: request and response of one never reach into the next', () => {
    const rig = ready();
    const { commands } = rig.driver;
    const at = [commands.open(), commands.open()].map((slot) => commands.requestWord(slot) * 4).sort((a, b) => a - b);
    expect(at[1] - at[0]).toBe(COMMAND_SLOT_BYTES);
    expect(Size.setScanoutBlob).toBeLessThanOrEqual(256);
    expect(256 + Size.respEdid).toBeLessThanOrEqual(COMMAND_SLOT_BYTES);
  });
});
