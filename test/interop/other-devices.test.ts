import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Flag } from '../../core/protocol/constants.ts';
import type { Request } from '../../core/protocol/request.ts';
import {
  drawn,
  expectFrames,
  expectGoodGuest,
  expectGoodSession,
  expectImportedLife,
  expectRisingFences,
  named,
  requests,
  waited,
} from './flow.ts';
import { cache, Room } from './guest.ts';

const BYTES_1080P = 1920 * 1080 * 4;
const MIB = 1024 ** 2;
/** Where the firmware puts the shared memory of ivshmem. */
const BAR = { gpa: 0xf4000000, size: 64 * MIB, kind: 'device' };
/** The flips before which the client resets the device. */
const RESETS = [10, 30, 50];

describe.skipIf(cache === null)('buffers of the guest’s other devices', () => {
  let room: Room;
  beforeEach(() => {
    room = new Room();
  });
  afterEach(() => room.close());

  test('of a second GPU are imported and shown where they lie', async () => {
    const flips = 30;
    const host = await room.host('--once', '--list-limit', '8192');
    const machine = ['-machine', 'pc,memory-backend=mem', '-cpu', 'max', '-device', 'bochs-display'];
    const guest = room.guest(host, { commands: `two-gpus ${flips}`, machine });
    await expectGoodGuest(guest, ['two-gpus']);
    expect(guest.lines.filter((line) => line === 'imported a buffer of the other GPU')).toHaveLength(2);
    expect(await expectGoodSession(host)).toBe(0);
    const shown = drawn(host.frames());
    expectFrames(shown, flips, { waits: waited(guest) });
    expect(shown.every(({ imported }) => imported)).toBe(true);
    const all = requests(host.trace());
    expectRisingFences(all);
    for (const resource of new Set(shown.map((frame) => frame.resource))) {
      expectImportedLife(all, resource, BYTES_1080P, shown.filter((frame) => frame.resource === resource).length);
    }
  });

  test('in a BAR of a VFIO device are shown where they lie; each reset of the device takes them back, and no frame is lost', async () => {
    const flips = 60;
    const host = await room.host('--once', '--device-region', `gpu0=0x${BAR.gpa.toString(16)}+64M`);
    const guest = room.guest(host, { commands: `vfio ${flips}`, machine: VFIO_MACHINE, bus: 'd2', kernel: 'intel_iommu=on iommu=pt' });
    await expectGoodGuest(guest, ['vfio'], / (resetting|reset done|unlocked secondary bus reset .*)$/);
    expect(guest.lines.filter((line) => line.startsWith('device reset'))).toEqual(RESETS.map((flip) => `device reset at flip ${flip}`));
    expect(await expectGoodSession(host)).toBe(0);
    const shown = drawn(host.frames());
    expectFrames(shown, flips, { waits: waited(guest) });
    expect(shown.every(({ imported, segments }) => imported && segments === 1)).toBe(true);

    const trace = host.trace();
    const tables = trace.records.flatMap((record) => (record.kind === 'regions' ? [record.regions] : []));
    // The BAR is there at first, goes and comes with each reset: one when VFIO opens the device and one when it closes it, too.
    const withBar = [{ gpa: 0, size: 512 * MIB, kind: 'ram' }, BAR];
    expect(tables).toEqual(Array.from({ length: 2 * (RESETS.length + 2) + 1 }, (_, i) => (i % 2 === 0 ? withBar : withBar.slice(0, 1))));
    const all = requests(trace);
    expectRisingFences(all);
    const resources = shown.slice(0, 2).map(({ resource }) => resource);
    resources.forEach((resource, first) => {
      expect(lifeOf(all, resource)).toEqual(revokedLife(first, flips));
    });
    for (const { resource, entries } of [...named(all, 'RESOURCE_CREATE_BLOB'), ...named(all, 'RESOURCE_ATTACH_BACKING')]) {
      if (!resources.includes(resource)) continue;
      expect(entries).toHaveLength(1);
      const [{ addrLo, addrHi, length }] = entries;
      expect([addrHi, addrLo >= BAR.gpa, addrLo + length <= BAR.gpa + BAR.size, length]).toEqual([0, true, true, BYTES_1080P]);
    }
  });
});

function lifeOf(all: readonly Request[], resource: number): string[] {
  return all.flatMap((one) => ('resource' in one && one.resource === resource ? [`${one.name} ${one.flags}`] : []));
}

/** Of the buffer with frame `first` and every second one after it, up to `last`: DETACH at each reset, ATTACH at its next flip. */
function revokedLife(first: number, last: number): string[] {
  const commands = ['RESOURCE_CREATE_BLOB 0'];
  let attached = true;
  const detach = (): void => {
    if (attached) commands.push(`RESOURCE_DETACH_BACKING ${Flag.FENCE}`);
    attached = false;
  };
  for (let flip = 0; flip <= last; flip++) {
    if (RESETS.includes(flip)) detach();
    if (flip % 2 !== first) continue;
    if (!attached) commands.push('RESOURCE_ATTACH_BACKING 0');
    attached = true;
    commands.push('SET_SCANOUT_BLOB 0', `RESOURCE_FLUSH ${Flag.FENCE}`);
  }
  detach();
  return [...commands, 'RESOURCE_UNREF 0'];
}

/** An IOMMU, so that there is a VFIO group; a CPU whose host bridge the kernel lets peer-to-peer pass; both devices behind a switch. */
const VFIO_MACHINE = [
  ['-machine', 'q35,memory-backend=mem,kernel-irqchip=split', '-cpu', 'max,vendor=AuthenticAMD,family=23', '-device', 'intel-iommu'],
  ['-device', 'pcie-root-port,id=rp,chassis=1,slot=1', '-device', 'x3130-upstream,id=up,bus=rp'],
  ['-device', 'xio3130-downstream,id=d1,bus=up,chassis=2,slot=2', '-device', 'xio3130-downstream,id=d2,bus=up,chassis=3,slot=3'],
  ['-object', 'memory-backend-memfd,id=shm,size=64M,share=on', '-device', 'ivshmem-plain,memdev=shm,bus=d1'],
].flat();
