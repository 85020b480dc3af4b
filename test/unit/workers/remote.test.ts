import { afterEach, expect, it, vi } from 'vitest';
import type { HostMachine } from '../../../core/machine/host-machine.ts';
import { DeviceRegisters } from '../../../core/ring/registers.ts';
import { HostRemote, Remote, type RemoteDisplay } from '../../../workers/remote.ts';

afterEach(() => vi.restoreAllMocks());

it('a host that looks while a display is being written sees the old one or the new one, and the new one in the end', () => {
  const before: RemoteDisplay = { width: 640, height: 360, refreshHz: 60 };
  const after: RemoteDisplay = { width: 320, height: 200, refreshHz: 75 };
  const remote = new Remote(new SharedArrayBuffer(4 * DeviceRegisters.words), [before, before]);
  const shown: (RemoteDisplay | null)[] = [];
  const device = {
    setDisplay: (_head: number, display: RemoteDisplay | null) => void shown.push(display),
    resourceCount: 0,
    budgetUsed: 0,
    segmentsUsed: 0,
  };
  const host = new HostRemote(remote.buffer, { device } as unknown as HostMachine, [before, before]);

  // The host takes a turn after every store of the writer's, for it was asked for its gauges just then.
  const { store } = Atomics;
  let inTurn = false;
  const turn = (cells: Int32Array, at: number, value: number): number => {
    const stored = store(cells, at, value);
    if (!inTurn) {
      inTurn = true;
      remote.askGauges();
      host.poll();
      inTurn = false;
    }
    return stored;
  };
  vi.spyOn(Atomics, 'store').mockImplementation(turn as typeof Atomics.store);
  remote.setDisplay(1, after);
  host.poll();
  remote.setDisplay(1, null);
  host.poll();
  remote.setDisplay(1, after);
  host.poll();
  expect(shown).toEqual([after, null, after]);
});

it('a display of 59.94 Hz is one, and the one that a host begins with is no change', () => {
  const before: RemoteDisplay = { width: 640, height: 360, refreshHz: 59.94 };
  const remote = new Remote(new SharedArrayBuffer(4 * DeviceRegisters.words), [before]);
  const shown: (RemoteDisplay | null)[] = [];
  const device = { setDisplay: (_head: number, display: RemoteDisplay | null) => void shown.push(display) };
  const host = new HostRemote(remote.buffer, { device } as unknown as HostMachine, [before]);
  host.poll();
  expect(shown).toEqual([]);
  remote.setDisplay(0, { ...before, refreshHz: 23.976 });
  host.poll();
  expect(shown).toEqual([{ ...before, refreshHz: 23.976 }]);
});
