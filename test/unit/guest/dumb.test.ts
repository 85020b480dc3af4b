import { describe, expect, it } from 'vitest';
import { AllocationError } from '../../../core/guest/driver.ts';
import { Response } from '../../../core/protocol/constants.ts';
import { BASE_FEATURES, RAM_HIGH, Rig } from './rig.ts';

describe('dumb buffers', () => {
  it('with blob: one CREATE_BLOB with the pages', () => {
    const rig = new Rig();
    rig.forget();
    const buffer = rig.driver.createDumb(64, 64, '4k');
    expect(buffer).toMatchObject({ kind: 'dumb', id: 2, stride: 256, blob: true });
    expect(rig.host.names()).toEqual(['RESOURCE_CREATE_BLOB']);
    const [blob] = rig.host.of('RESOURCE_CREATE_BLOB');
    expect(blob.entries).toHaveLength(4);
    expect(blob.entries.map(({ addrLo, addrHi }) => addrHi * 2 ** 32 + addrLo)).toEqual(
      Array.from(buffer.pages.offset.slice(0, 4), (at) => RAM_HIGH + at),
    );
  });

  it('without blob: CREATE_2D, then ATTACH_BACKING with the pages', () => {
    const rig = new Rig({ features: BASE_FEATURES });
    rig.forget();
    const buffer = rig.driver.createDumb(64, 64, '4k');
    expect(buffer.blob).toBe(false);
    expect(rig.host.names()).toEqual(['RESOURCE_CREATE_2D', 'RESOURCE_ATTACH_BACKING']);
    expect(rig.host.of('RESOURCE_CREATE_2D')[0]).toMatchObject({ resource: 2, width: 64, height: 64, format: 2 });
    expect(rig.host.of('RESOURCE_ATTACH_BACKING')[0].entries).toHaveLength(4);
  });

  it('freeing: UNREF, and the pages come back only when it was answered', () => {
    const rig = new Rig();
    const before = rig.pixels.freeBytes;
    const buffer = rig.driver.createDumb(64, 64, 'contiguous');
    rig.host.options.hold = ({ name }) => name === 'RESOURCE_UNREF';
    let duringWait = 0;
    rig.onIdle = () => {
      if (rig.host.held.length === 0) return false;
      duringWait = rig.pixels.freeBytes;
      rig.host.release();
      return true;
    };
    rig.driver.freeDumb(buffer);
    expect(duringWait).toBe(before - 16384);
    expect(rig.pixels.freeBytes).toBe(before);
  });

  it.each([
    ['CREATE_BLOB', undefined, 'RESOURCE_CREATE_BLOB', []],
    ['CREATE_2D', BASE_FEATURES, 'RESOURCE_CREATE_2D', []],
    ['ATTACH_BACKING', BASE_FEATURES, 'RESOURCE_ATTACH_BACKING', ['RESOURCE_UNREF']],
  ] as const)('a host that refuses %s: an error, and no memory or resource is left behind', (_, features, refused, after) => {
    const rig = new Rig({
      ...(features === undefined ? {} : { features }),
      answer: ({ name }) => (name === refused ? Response.ERR_OUT_OF_MEMORY : undefined),
    });
    rig.forget();
    const free = [rig.pixels.freeBytes, rig.memory.freeBytes];
    expect(() => rig.driver.createDumb(64, 64, 'contiguous')).toThrow(/host refused a 64x64 buffer: 0x1201/);
    expect([rig.pixels.freeBytes, rig.memory.freeBytes]).toEqual(free);
    expect(rig.host.names().filter((name) => name === 'RESOURCE_UNREF')).toEqual(after);
  });

  it('guest RAM without room is an error that says so, with nothing taken or sent', () => {
    const rig = new Rig();
    rig.forget();
    const free = rig.pixels.freeBytes;
    expect(() => rig.driver.createDumb(4096, 4096, '4k')).toThrow(AllocationError);
    expect(rig.pixels.freeBytes).toBe(free);
    rig.run();
    expect(rig.host.seen).toHaveLength(0);
  });

  it('guest RAM without room for the memory entries: the same, and the next buffer is had once there is', () => {
    const rig = new Rig();
    rig.forget();
    const free = rig.pixels.freeBytes;
    const give = rig.starve();
    expect(() => rig.driver.createDumb(64, 64, '4k')).toThrow(AllocationError);
    expect(rig.pixels.freeBytes).toBe(free);
    rig.run();
    expect(rig.host.seen).toHaveLength(0);
    give();
    expect(rig.driver.createDumb(64, 64, '4k').id).toBe(2);
  });
});
