import { describe, expect, it } from 'vitest';
import { CURSOR_SIZE, CursorPlane } from '../../../core/guest/cursor.ts';
import { BASE_FEATURES, Rig } from './rig.ts';

const CURSOR = 1;

describe('cursor', () => {
  it('a 64×64 ARGB buffer', () => {
    const rig = new Rig({ features: BASE_FEATURES });
    rig.forget();
    const cursor = new CursorPlane(rig.driver, 0);
    expect(rig.host.of('RESOURCE_CREATE_2D')[0]).toMatchObject({ width: 64, height: 64, format: 1 });
    expect(cursor.buffer.pages.length).toBe(CURSOR_SIZE * CURSOR_SIZE * 4);
  });

  it('without blob: a fenced TRANSFER, waited for without limit, then UPDATE_CURSOR', () => {
    const rig = new Rig({ features: BASE_FEATURES });
    const cursor = new CursorPlane(rig.driver, 2);
    rig.forget();
    rig.host.options.hold = ({ name }) => name === 'TRANSFER_TO_HOST_2D';
    rig.onIdle = () => {
      if (rig.host.held.length === 0) return false;
      expect(rig.host.of('UPDATE_CURSOR')).toHaveLength(0);
      rig.clock.advance(5e9);
      rig.host.release();
      return true;
    };
    const before = rig.now;
    cursor.update(100, 200, 3, 4);
    expect(rig.now - before).toBeGreaterThanOrEqual(5e9);
    rig.run();
    expect(rig.host.seen.map(({ name, queue, fenced }) => [name, queue, fenced])).toEqual([
      ['TRANSFER_TO_HOST_2D', 0, true],
      ['UPDATE_CURSOR', CURSOR, false],
    ]);
    expect(rig.host.of('TRANSFER_TO_HOST_2D')[0]).toMatchObject({
      x: 0,
      y: 0,
      width: 64,
      height: 64,
      offsetLo: 0,
      resource: cursor.buffer.id,
    });
    expect(rig.host.of('UPDATE_CURSOR')[0]).toMatchObject({ scanout: 2, x: 100, y: 200, hotX: 3, hotY: 4, resource: cursor.buffer.id });
  });

  it('with blob UPDATE_CURSOR alone: the host reads the pages', () => {
    const rig = new Rig();
    const cursor = new CursorPlane(rig.driver, 0);
    rig.forget();
    cursor.update(1, 2, 0, 0);
    rig.run();
    expect(rig.host.names()).toEqual(['UPDATE_CURSOR']);
  });

  it('a move carries the position only', () => {
    const rig = new Rig();
    const cursor = new CursorPlane(rig.driver, 1);
    rig.forget();
    cursor.move(30, 40);
    rig.run();
    expect(rig.host.of('MOVE_CURSOR')[0]).toMatchObject({ scanout: 1, x: 30, y: 40, hotX: 0, hotY: 0 });
  });

  it('has no writable descriptor, and comes back with used length 0', () => {
    const rig = new Rig();
    const cursor = new CursorPlane(rig.driver, 0);
    rig.forget();
    cursor.move(1, 1);
    rig.run();
    expect(rig.host.seen[0].room).toBe(0);
    expect(rig.host.used).toEqual([[CURSOR, 0]]);
  });

  it('a full cursor queue is waited for; every move arrives, in order', () => {
    const rig = new Rig();
    const cursor = new CursorPlane(rig.driver, 0);
    rig.forget();
    for (let x = 0; x < 100; x++) cursor.move(x, 0);
    rig.run();
    expect(rig.host.of('MOVE_CURSOR').map(({ x }) => x)).toEqual(Array.from({ length: 100 }, (_, x) => x));
  });
});
