import { describe, expect, test } from 'vitest';
import { Counter } from '../../core/measure/counters.ts';
import { Command, ConfigEvent, Feature, Response } from '../../core/protocol/constants.ts';
import { writeFlush, writeSimple, writeTransfer } from '../../core/protocol/write.ts';
import { CONTROL_QUEUE, CURSOR_QUEUE, Interrupt, Status } from '../../core/ring/registers.ts';
import { create2d, eachRing, getDisplayInfo, HIGH, HostileGuest, OK, PIXELS } from '../support/hostile-guest.ts';
import { BASE_FEATURES, BLOB_FEATURES, frame, Rig, type RigOptions } from '../unit/host/rig.ts';

const UP = Status.ACKNOWLEDGE | Status.DRIVER | Status.FEATURES_OK | Status.DRIVER_OK;
const info = (w: Uint32Array, at: number): number => writeSimple(w, at, Command.GET_DISPLAY_INFO);

/** A device that is ready but for its DRIVER_OK. */
function beforeDriverOk(ring: RigOptions, prepare: (rig: Rig) => void = () => {}): Rig {
  const rig = new Rig({ ...ring, asleep: true });
  const status = rig.status.bind(rig);
  rig.status = (value) => {
    if ((value & Status.DRIVER_OK) === 0) status(value);
    else prepare(rig);
  };
  rig.start();
  rig.status = status;
  return rig;
}

/** Breaks the control queue, whichever it is: a descriptor ring or available ring full of ones. */
function breakRing(rig: Rig): void {
  const { registers, space } = rig;
  for (const address of [registers.queueDescriptorAddress(CONTROL_QUEUE), registers.queueDriverAddress(CONTROL_QUEUE)]) {
    if (!space.translate(address, 64) || space.hitRegion === null) throw new Error('the ring is not in memory');
    // 0x7fff: split: far ahead; packed: available under a wrap counter of 1, with flags that do not exist.
    space.hitRegion.u16.fill(0x7fff, space.hitOffset / 2, space.hitOffset / 2 + 512);
  }
}

eachRing((ring, name) => {
  describe(`the transport, ${name}`, () => {
    test('19: a kick before DRIVER_OK consumes nothing; what was offered is served after it', () => {
      const rig = beforeDriverOk(ring);
      const token = rig.post(info);
      for (let i = 0; i < 3; i++) expect(rig.device.poll()).toBe(false);
      expect(rig.device.prepareSleep()).toBe(false);
      rig.collect();
      expect(rig.answers.size).toBe(0);
      rig.status(UP);
      rig.run();
      expect(rig.answers.get(token)?.type).toBe(Response.OK_DISPLAY_INFO);
      expect(rig.serves()).toBe(true);
    });

    test('20: a kick for a queue that was not set up does nothing; the other one is served', () => {
      // A kick carries no queue number here: one doorbell a side, every queue is looked at. Numbers past the last are refused.
      const rig = beforeDriverOk(ring, (asleep) => asleep.registers.setQueueReady(CURSOR_QUEUE, false));
      rig.status(UP);
      rig.cursor.begin();
      rig.cursor.readable(PIXELS, 56);
      rig.cursor.submit(1);
      rig.cursor.publish();
      expect(rig.device.poll()).toBe(false);
      expect(rig.cursor.popUsed()).toBe(false);
      expect(rig.serves()).toBe(true);
      expect(() => rig.registers.setQueueReady(2, true)).toThrow(RangeError);
      expect(() => rig.registers.queueSize(-1)).toThrow(RangeError);
    });

    test('21: a storm of kicks on empty rings: each poll finds nothing and writes nothing', () => {
      const guest = new HostileGuest(ring);
      const { rig } = guest;
      rig.device.prepareSleep();
      const interrupts = rig.interrupts;
      const service = rig.device.serviceNs;
      for (let i = 0; i < 10_000; i++) if (rig.device.poll()) expect.fail(`poll ${i} progressed`);
      expect(rig.interrupts).toBe(interrupts);
      expect(rig.device.serviceNs).toBe(service);
      guest.unharmed();
    });

    test("22: garbage in the driver's event fields costs interrupts, nothing else", () => {
      const guest = new HostileGuest(ring);
      const { registers, regions } = guest.rig;
      const at = registers.queueDriverAddress(CONTROL_QUEUE) + (ring.ring === 'packed' ? 0 : 4 + 2 * 64);
      for (const garbage of [0, 0xffff, 0x8000, 0x7fff, 0x1234]) {
        regions[0].u8.fill(garbage & 0xff, at, at + 2);
        regions[0].u8[at + 1] = garbage >>> 8;
        guest.attempt({ bytes: getDisplayInfo(), answer: Response.OK_DISPLAY_INFO }, `event ${garbage}`);
      }
      guest.unharmed();
    });

    test('23: a request rewritten after it was taken counts as it was: the snapshot is carried out', () => {
      const rig = new Rig({ ...ring, scanoutNs: 1000 });
      rig.create2d(2);
      rig.attach(2, frame(HIGH + PIXELS));
      rig.setScanout(0, 2);
      rig.post((w, at) => writeFlush(w, at, 0, 0, 64, 64, 2));
      let words: Uint32Array = new Uint32Array(0);
      let place = 0;
      const stalled = rig.post((w, at) => {
        words = w;
        place = at;
        return writeTransfer(w, at, 0, 0, 64, 64, 0, 0, 2);
      });
      while (rig.device.poll());
      // The sink reads the image: the TRANSFER has been taken and waits. Now it says something else.
      words.fill(0xffffffff, place, place + 14);
      rig.regions[1].u32[PIXELS / 4] = 0x4711;
      rig.advance(1000);
      expect(rig.answers.get(stalled)?.type).toBe(OK);
      expect([...rig.images][0].u32[0]).toBe(0x4711);
      expect(rig.serves()).toBe(true);
    });

    test.each([
      ['that was not offered', BASE_FEATURES, BLOB_FEATURES],
      ['CONTEXT_INIT without VIRGL', BASE_FEATURES | (1 << Feature.CONTEXT_INIT), BASE_FEATURES | (1 << Feature.CONTEXT_INIT)],
      [
        'BLOB_ALIGNMENT without RESOURCE_BLOB',
        BASE_FEATURES | (1 << Feature.BLOB_ALIGNMENT),
        BASE_FEATURES | (1 << Feature.BLOB_ALIGNMENT),
      ],
      ['of every bit', BASE_FEATURES, -1],
    ])('24: a feature %s leaves FEATURES_OK clear, and DRIVER_OK too', (_what, offered, asked) => {
      const rig = new Rig({ ...ring, features: offered, asleep: true });
      rig.status(Status.ACKNOWLEDGE | Status.DRIVER);
      rig.registers.setDriverFeatures(asked, 1);
      rig.status(Status.ACKNOWLEDGE | Status.DRIVER | Status.FEATURES_OK);
      expect(rig.registers.deviceStatus).toBe(Status.ACKNOWLEDGE | Status.DRIVER);
      rig.status(UP);
      expect(rig.registers.deviceStatus & (Status.FEATURES_OK | Status.DRIVER_OK)).toBe(0);
      expect(rig.device.poll()).toBe(false);
      rig.start(offered & BASE_FEATURES);
      expect(rig.serves()).toBe(true);
    });

    test('24: a bit past 32 that was not offered', () => {
      const rig = new Rig({ ...ring, asleep: true });
      rig.status(Status.ACKNOWLEDGE | Status.DRIVER);
      rig.registers.setDriverFeatures(BLOB_FEATURES, 0x80000001 | 0);
      rig.status(Status.ACKNOWLEDGE | Status.DRIVER | Status.FEATURES_OK);
      expect(rig.registers.deviceStatus & Status.FEATURES_OK).toBe(0);
    });

    test('25: garbage in events_read is neither an event to the host nor lost work: the next change is told as ever', () => {
      const guest = new HostileGuest(ring);
      const { rig } = guest;
      rig.registers.raiseEvents(0xfffffffe | 0);
      expect(rig.device.poll()).toBe(false);
      rig.registers.takeInterrupts();
      rig.device.setDisplay(0, { width: 800, height: 600, refreshHz: 60 });
      expect(rig.registers.eventsRead & ConfigEvent.DISPLAY).toBe(ConfigEvent.DISPLAY);
      expect(rig.registers.interruptStatus & Interrupt.CONFIG_CHANGE).not.toBe(0);
      rig.registers.clearEvents(-1);
      expect(rig.device.poll()).toBe(true);
      expect(rig.registers.eventsRead).toBe(0);
      expect(rig.device.poll()).toBe(false);
      guest.unharmed();
    });

    test('26: after a broken ring every kick is ignored until the reset, which gives everything back', () => {
      const guest = new HostileGuest(ring);
      const { rig } = guest;
      guest.attempt({ bytes: create2d(2), answer: OK }, 'a resource');
      breakRing(rig);
      expect(rig.device.poll()).toBe(true);
      expect(rig.device.needsReset).toBe(true);
      expect(rig.registers.deviceStatus & Status.NEEDS_RESET).toBe(Status.NEEDS_RESET);
      expect(rig.registers.interruptStatus & Interrupt.CONFIG_CHANGE).not.toBe(0);
      expect(rig.counters.get(Counter.ringErrors)).toBe(1);
      const commands = rig.counters.get(Counter.commands);
      for (let i = 0; i < 100; i++) {
        breakRing(rig);
        expect(rig.device.poll()).toBe(false);
        expect(rig.device.prepareSleep()).toBe(false);
      }
      rig.status(UP & ~Status.DRIVER_OK);
      rig.status(UP);
      expect(rig.registers.deviceStatus & Status.NEEDS_RESET).toBe(Status.NEEDS_RESET);
      expect(rig.counters.get(Counter.commands)).toBe(commands);
      expect(rig.counters.get(Counter.ringErrors)).toBe(1);
      rig.start();
      expect(rig.registers.deviceStatus).toBe(UP);
      expect([rig.device.resourceCount, rig.device.budgetUsed, rig.device.segmentsUsed, rig.images.size]).toEqual([0, 0, 0, 0]);
      expect(rig.serves()).toBe(true);
    });
  });
});
