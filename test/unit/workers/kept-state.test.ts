import { appendFileSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AddressSpace } from '../../../core/memory/address-space.ts';
import { createSharedMemory, MemoryRegion } from '../../../core/memory/region.ts';
import { Command, Format } from '../../../core/protocol/constants.ts';
import { writeCreate2d, writeFlush, writeResource, writeSetScanout } from '../../../core/protocol/write.ts';
import { Chain } from '../../../core/ring/chain.ts';
import { Libc } from '../../../workers/native/libc.ts';
import { FileMappings } from '../../../workers/native/mapping.ts';
import { KeptRings } from '../../../workers/vhost-user/kept-rings.ts';
import { KeptState } from '../../../workers/vhost-user/kept-state.ts';

describe('what a guest has set up, kept in a file', () => {
  let folder: string;
  let path: string;
  const space = new AddressSpace();
  const region = new MemoryRegion({
    ...({ id: 0, name: 'ram', kind: 'ram', gpa: 0, size: 65536, device: null, bar: null } as const),
    memory: createSharedMemory(65536),
  });
  space.add(region);
  const chain = new Chain();
  let position = 0;

  /** Sends a request to a state, as the device would take and answer it. */
  const send = (state: KeptState, write: (words: Uint32Array) => number): void => {
    chain.clear();
    chain.setOne(0, 0, 0, write(region.u32), 0);
    state.observe(chain);
    state.answered(chain.head, position++);
  };
  const create = (state: KeptState, id: number): void => send(state, (w) => writeCreate2d(w, 0, id, Format.B8G8R8X8, 64, 64));
  const simple = (state: KeptState, type: number, id: number): void => send(state, (w) => writeResource(w, 0, type, id));
  const show = (state: KeptState, head: number, id: number): void => send(state, (w) => writeSetScanout(w, 0, 0, 0, 64, 64, head, id));
  /** Type and id (of a SET_SCANOUT the head) of each request. */
  const told = (state: KeptState, comesAgain: number | null = null): number[][] => {
    state.goesOn(comesAgain);
    return state.requests.map((request) => {
      const words = new Uint32Array(request.slice().buffer);
      return [words[0], words[words[0] === Command.SET_SCANOUT ? 10 : 6]];
    });
  };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'scanout-state-'));
    path = join(folder, 'state');
    position = 0;
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test('is what there is now, in an order in which it can be carried out, and the same when it is read again', () => {
    const state = new KeptState(path, space);
    create(state, 2);
    create(state, 3);
    show(state, 0, 2);
    show(state, 0, 3);
    simple(state, Command.RESOURCE_DETACH_BACKING, 3);
    send(state, (w) => writeFlush(w, 0, 0, 0, 64, 64, 3));
    simple(state, Command.RESOURCE_UNREF, 2);
    const all = [
      [Command.RESOURCE_CREATE_2D, 3],
      [Command.RESOURCE_DETACH_BACKING, 3],
      [Command.SET_SCANOUT, 0],
    ];
    expect(told(state)).toEqual(all);
    // As after a kill: nothing was closed.
    const again = new KeptState(path, space);
    expect(told(again)).toEqual(all);
    state.close();
    again.close();
  });

  test('what was taken is kept once it is answered, and forgotten with its driver', () => {
    const state = new KeptState(path, space);
    const take = (head: number, id: number): void => {
      chain.clear();
      chain.setOne(head, 0, 0, writeCreate2d(region.u32, 0, id, Format.B8G8R8X8, 64, 64), 0);
      state.observe(chain);
    };
    take(1, 2);
    take(2, 3);
    expect([told(state), readFileSync(path, 'utf8')]).toEqual([[], '']);
    state.answered(2, 1);
    state.answered(2, 1);
    expect(told(state)).toEqual([[Command.RESOURCE_CREATE_2D, 3]]);
    state.clear();
    state.answered(1, 2);
    expect(told(state)).toEqual([]);
    state.close();
  });

  test('a line that was cut off is none; what is no such file is refused and stays', () => {
    const state = new KeptState(path, space);
    create(state, 2);
    state.close();
    appendFileSync(path, 'AQEAAA');
    const again = new KeptState(path, space);
    expect(told(again)).toEqual([[Command.RESOURCE_CREATE_2D, 2]]);
    again.close();
    writeFileSync(path, 'something else\n');
    expect(() => new KeptState(path, space)).toThrow(/it is no state of a host; delete it/);
    expect(readFileSync(path, 'utf8')).toBe('something else\n');
  });

  test('what is no file at all is refused and stays', () => {
    mkdirSync(path);
    expect(() => new KeptState(path, space)).toThrow(/it is no file; name another path/);
    // As /dev/null would be, which a rename would replace.
    const device = join(folder, 'null');
    symlinkSync('/dev/null', device);
    expect(() => new KeptState(device, space)).toThrow(/it is no file/);
    expect(lstatSync(device).isSymbolicLink()).toBe(true);
  });

  test('the last line is none where its chain comes again, which it does until a host has gone on with it', () => {
    const state = new KeptState(path, space);
    create(state, 2);
    simple(state, Command.RESOURCE_UNREF, 2);
    state.close();
    // Killed while it starts, and before the guest is there.
    new KeptState(path, space).close();
    const same = readFileSync(path, 'utf8');
    const opened = (comesAgain: number | null, next: (state: KeptState) => void = () => {}): number[][] => {
      const one = new KeptState(path, space);
      const all = told(one, comesAgain);
      next(one);
      one.close();
      return all;
    };
    expect([opened(null), opened(0)]).toEqual([[], []]);
    expect(readFileSync(path, 'utf8')).toBe(same);
    const made = [[Command.RESOURCE_CREATE_2D, 2]];
    expect(opened(1)).toEqual(made);
    // The line is gone: what stands there the next time is another chain.
    expect(opened(1, (again) => simple(again, Command.RESOURCE_UNREF, 2))).toEqual(made);
    expect(opened(1)).toEqual([]);
  });

  test('nothing is left when a driver begins', () => {
    const state = new KeptState(path, space);
    create(state, 2);
    state.clear();
    expect(state.requests).toEqual([]);
    expect(readFileSync(path, 'utf8')).toBe('');
    create(state, 4);
    expect(told(new KeptState(path, space))).toEqual([[Command.RESOURCE_CREATE_2D, 4]]);
    state.close();
  });

  test('a guest that sets up without end is kept up to a bound', () => {
    const state = new KeptState(path, space);
    for (let id = 1; id <= 3000; id++) {
      send(state, (w) => {
        writeResource(w, 0, Command.RESOURCE_CREATE_BLOB, id);
        return 60_000;
      });
    }
    const kept = state.requests.reduce((sum, { length }) => sum + length, 0);
    expect(kept).toBeGreaterThan(50 * 1024 * 1024);
    expect(kept).toBeLessThanOrEqual(64 * 1024 * 1024);
    state.close();
  });
});

const loaded = Libc.load();
describe.skipIf(typeof loaded === 'string')('where packed rings stand, kept in a file', () => {
  const libc = loaded as Libc;
  const mappings = new FileMappings(libc);
  let folder: string;
  let path: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'scanout-rings-'));
    path = join(folder, 'rings');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test('is there when it is opened again; a file that was just made holds nothing', () => {
    for (const made of [new Uint8Array(0), new Uint8Array(4096)]) {
      writeFileSync(path, made);
      const rings = new KeptRings(path, mappings, libc);
      expect(rings.records.map(({ inUse }) => inUse)).toEqual([null, null]);
      rings.records[1].beginUse(5, 6, 7);
      rings.close();
      const again = new KeptRings(path, mappings, libc);
      expect(again.records.map(({ inUse }) => inUse)).toEqual([null, { head: 5, written: 6 }]);
      again.close();
    }
  });

  test('is one host’s at a time', () => {
    const rings = new KeptRings(path, mappings, libc);
    rings.records[0].beginUse(1, 2, 3);
    expect(() => new KeptRings(path, mappings, libc)).toThrow(/another host keeps its state there; name another file/);
    expect(rings.records[0].inUse).toEqual({ head: 1, written: 2 });
    rings.close();
    new KeptRings(path, mappings, libc).close();
    expect(mappings.count).toBe(0);
  });

  test('is in no file of somebody else’s, which stays as it is', () => {
    for (const other of ['a letter', 'x'.repeat(4096), 'y'.repeat(10_000)]) {
      writeFileSync(path, other);
      expect(() => new KeptRings(path, mappings, libc)).toThrow(/it is no state of a host; delete it/);
      expect(readFileSync(path, 'utf8')).toBe(other);
    }
    expect(mappings.count).toBe(0);
  });
});
