import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Flag } from '../../core/protocol/constants.ts';
import type { Request } from '../../core/protocol/request.ts';
import { drawn, expectFrames, expectGoodGuest, expectGoodSession, expectRisingFences, named, requests, waited } from './flow.ts';
import { cache, Room } from './guest.ts';

const FLIPS = 30;
const DAMAGES = 20;
const MOVES = 20;
const COMMANDS = `dumb ${FLIPS};damage ${DAMAGES};cursor ${MOVES}`;
const MB_1080P = (1920 * 1080 * 4) / 1e6;

describe.skipIf(cache === null)('dumb buffers', () => {
  let room: Room;
  beforeEach(() => {
    room = new Room();
  });
  afterEach(() => room.close());

  test('are blobs shown where they lie; every FLUSH is fenced', async () => {
    const host = await room.host('--once', '--list-limit', '8192');
    const guest = room.guest(host, { commands: COMMANDS });
    await expectGoodGuest(guest, ['dumb', 'damage', 'cursor']);
    expect(await expectGoodSession(host)).toBe(0);
    const frames = drawn(host.frames());
    expect(frames.every(({ imported }) => imported)).toBe(true);
    expectFrames(frames.slice(0, FLIPS + 1), FLIPS, { waits: waited(guest) });
    expectFrames(frames.slice(FLIPS + 1, -1), DAMAGES, { buffers: 1, waits: waited(guest) });
    const trace = host.trace();
    const all = requests(trace);
    expectRisingFences(all);
    expect(named(all, 'RESOURCE_FLUSH').every(({ flags }) => flags === Flag.FENCE)).toBe(true);
    expect(named(all, 'RESOURCE_CREATE_2D')).toEqual([]);
    expectDumbFlow(all, 'SET_SCANOUT_BLOB', frames[0].resource);
    expectCursor(all, requests(trace, 1));
  });

  test('without blobs are copied by TRANSFER_TO_HOST_2D; no FLUSH is fenced', async () => {
    const host = await room.host('--once', '--no-blob');
    await expectGoodGuest(room.guest(host, { commands: COMMANDS }), ['dumb', 'damage', 'cursor']);
    const copiedMB = await expectGoodSession(host);
    const frames = drawn(host.frames());
    expect(frames.some(({ imported }) => imported)).toBe(false);
    expectFrames(frames.slice(0, FLIPS + 1), FLIPS, { waits: false });
    expectFrames(frames.slice(FLIPS + 1, -1), DAMAGES, { buffers: 1, waits: false });
    const trace = host.trace();
    const all = requests(trace);
    expect(named(all, 'RESOURCE_FLUSH').every(({ flags }) => flags === 0)).toBe(true);
    expect(named(all, 'RESOURCE_CREATE_BLOB')).toEqual([]);
    // Each TRANSFER is what is copied, and all of it: this kernel sends whole frames, once a framebuffer has changed.
    const pixels = named(all, 'TRANSFER_TO_HOST_2D').reduce((sum, { width, height }) => sum + width * height, 0);
    expect(copiedMB).toBeCloseTo((pixels * 4) / 1e6, 0);
    expect(copiedMB).toBeGreaterThan((FLIPS + DAMAGES) * MB_1080P);
    expectDumbFlow(all, 'SET_SCANOUT', frames[0].resource);
    expectCursor(all, requests(trace, 1));
  });
});

/** A TRANSFER, then the scanout where it changes, then the FLUSH: of each flip of the buffer that the first client drew into first. */
function expectDumbFlow(all: readonly Request[], setScanout: 'SET_SCANOUT' | 'SET_SCANOUT_BLOB', resource: number): void {
  const used = all.filter((request) => 'resource' in request && request.resource === resource).map(({ name }) => name);
  const first = used.indexOf('TRANSFER_TO_HOST_2D');
  expect(used.slice(0, first)).toEqual(
    setScanout === 'SET_SCANOUT' ? ['RESOURCE_CREATE_2D', 'RESOURCE_ATTACH_BACKING'] : ['RESOURCE_CREATE_BLOB'],
  );
  const flips = Array.from({ length: FLIPS / 2 + 1 }, () => ['TRANSFER_TO_HOST_2D', setScanout, 'RESOURCE_FLUSH']).flat();
  expect(used.slice(first)).toEqual([...flips, 'RESOURCE_UNREF']);
}

/** Its image by fenced TRANSFERs; its place, by its own queue; hidden when the client ends. */
function expectCursor(control: readonly Request[], cursor: readonly Request[]): void {
  const shown = cursor.map((request) =>
    request.name === 'UPDATE_CURSOR' || request.name === 'MOVE_CURSOR'
      ? [request.name, request.x, request.y, request.hotX, request.hotY]
      : [],
  );
  const moves = Array.from({ length: MOVES }, (_, i) => [i % 10 === 0 ? 'UPDATE_CURSOR' : 'MOVE_CURSOR', i * 7, i * 5, 1, 2]);
  expect(shown).toEqual([...moves, ['UPDATE_CURSOR', 0, 0, 0, 0]]);
  const images = named(control, 'TRANSFER_TO_HOST_2D').filter(({ width, height }) => width === 64 && height === 64);
  expect(images.map(({ flags }) => flags)).toEqual(Array.from({ length: MOVES / 10 }, () => Flag.FENCE));
}
