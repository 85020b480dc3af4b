import { describe, expect, test } from 'vitest';
import { Alive, CONTROL_QUEUE, CURSOR_QUEUE, DeviceRegisters, Event, Interrupt, Status } from '../../../core/ring/registers.ts';

const fresh = (base = 0): DeviceRegisters =>
  new DeviceRegisters(new Int32Array(new SharedArrayBuffer((base + DeviceRegisters.words) * 4)), base);

describe('device registers', () => {
  test('each register keeps its own value', () => {
    const r = fresh(64);
    r.status = Status.ACKNOWLEDGE | Status.DRIVER;
    r.deviceStatus = Status.ACKNOWLEDGE;
    r.setDeviceFeatures(0xffff_fff0, 0x8000_0001);
    r.setDriverFeatures(0xf000_0000, 0x8000_0000);
    r.numScanouts = 16;
    r.numCapsets = 3;
    r.presentMask = 0xffff_0001;
    r.hostTableGeneration = 9;
    r.generation = 77;
    r.hostAlive = Alive.running;
    r.guestAlive = Alive.failed;
    for (const queue of [CONTROL_QUEUE, CURSOR_QUEUE]) {
      r.setQueueSize(queue, 64 >> queue);
      r.setQueueReady(queue, queue === CURSOR_QUEUE);
      r.setQueueAddresses(queue, Number.MAX_SAFE_INTEGER - queue, 0xffff_ffff, 2 ** 32 + queue);
    }
    expect([r.status, r.deviceStatus]).toEqual([3, 1]);
    expect([r.deviceFeaturesLo, r.deviceFeaturesHi, r.driverFeaturesLo, r.driverFeaturesHi]).toEqual([
      0xffff_fff0, 0x8000_0001, 0xf000_0000, 0x8000_0000,
    ]);
    expect([r.numScanouts, r.numCapsets, r.presentMask, r.hostTableGeneration, r.generation]).toEqual([16, 3, 0xffff_0001, 9, 77]);
    expect([r.hostAlive, r.guestAlive]).toEqual([Alive.running, Alive.failed]);
    for (const queue of [CONTROL_QUEUE, CURSOR_QUEUE]) {
      expect(r.queueSize(queue)).toBe(64 >> queue);
      expect(r.queueReady(queue)).toBe(queue === CURSOR_QUEUE);
      expect(r.queueDescriptorAddress(queue)).toBe(Number.MAX_SAFE_INTEGER - queue);
      expect(r.queueDriverAddress(queue)).toBe(0xffff_ffff);
      expect(r.queueDeviceAddress(queue)).toBe(2 ** 32 + queue);
    }
  });

  test('events_read is changed by the device only; events_clear clears what it names (hostile-guest 25)', () => {
    const r = fresh();
    r.raiseEvents(Event.DISPLAY | 4);
    expect(r.eventsRead).toBe(5);
    r.clearEvents(Event.DISPLAY);
    expect(r.eventsRead).toBe(5);
    expect(r.takeEventsClear()).toBe(Event.DISPLAY);
    expect([r.eventsRead, r.eventsClear, r.takeEventsClear()]).toEqual([4, 0, 0]);
  });

  test('interrupts add up until they are taken', () => {
    const r = fresh();
    r.raiseInterrupt(Interrupt.USED_BUFFER);
    r.raiseInterrupt(Interrupt.CONFIG_CHANGE);
    expect(r.interruptStatus).toBe(3);
    expect([r.takeInterrupts(), r.takeInterrupts()]).toEqual([3, 0]);
  });

  test('generations count', () => {
    const r = fresh();
    r.bumpConfigGeneration();
    expect([r.configGeneration, r.bumpTableGeneration(), r.tableGeneration]).toEqual([1, 1, 1]);
  });

  test('a stop request moves both doorbells', () => {
    const r = fresh();
    r.requestStop();
    expect([r.stopRequested, r.cells[r.hostDoorbell], r.cells[r.guestDoorbell]]).toEqual([true, 1, 1]);
    r.clearStop();
    expect(r.stopRequested).toBe(false);
  });

  test("reset forgets what was negotiated and keeps what is the session's", () => {
    const r = fresh();
    r.setDriverFeatures(1, 2);
    r.setQueueSize(CONTROL_QUEUE, 64);
    r.setQueueReady(CONTROL_QUEUE, true);
    r.setQueueAddresses(CONTROL_QUEUE, 16, 32, 2 ** 40);
    r.raiseEvents(1);
    r.raiseInterrupt(1);
    r.deviceStatus = Status.DRIVER_OK;
    r.presentMask = 3;
    r.generation = 5;
    r.setDeviceFeatures(8, 9);
    r.reset();
    expect([r.driverFeaturesLo, r.driverFeaturesHi, r.queueSize(0), r.queueReady(0), r.queueDeviceAddress(0)]).toEqual([0, 0, 0, false, 0]);
    expect([r.eventsRead, r.interruptStatus, r.deviceStatus]).toEqual([0, 0, 0]);
    expect([r.presentMask, r.generation, r.deviceFeaturesLo, r.deviceFeaturesHi]).toEqual([3, 5, 8, 9]);
  });

  test('doorbells lie 128 bytes from each other and from the registers', () => {
    const r = fresh(32);
    expect((r.hostDoorbell * 4) % 128).toBe(0);
    expect(r.guestDoorbell - r.hostDoorbell).toBe(32);
    expect(r.guestDoorbell + 32).toBe(32 + DeviceRegisters.words);
  });

  test('too few cells, other queues and what is no address are refused', () => {
    expect(() => new DeviceRegisters(new Int32Array(DeviceRegisters.words - 1))).toThrow(RangeError);
    for (const base of [-1, 0.5]) expect(() => new DeviceRegisters(new Int32Array(2 * DeviceRegisters.words), base)).toThrow(RangeError);
    const r = fresh();
    expect(() => r.queueSize(2)).toThrow(RangeError);
    expect(() => r.setQueueAddresses(0, -1, 0, 0)).toThrow(RangeError);
    expect(() => r.setQueueAddresses(0, 0, 2 ** 53, 0)).toThrow(RangeError);
  });
});
