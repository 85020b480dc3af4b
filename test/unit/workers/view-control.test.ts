import { EventEmitter } from 'node:events';
import { afterEach, expect, test } from 'vitest';
import type { WebSocket } from 'ws';
import { FrameLog } from '../../../core/measure/frame-log.ts';
import { GlassMeter } from '../../../workers/stream/glass.ts';
import { type HubOptions, StreamHub } from '../../../workers/stream/hub.ts';

const hubs: StreamHub[] = [];
afterEach(() => {
  for (const hub of hubs.splice(0)) hub.close();
});

/** A hub with one who watches: what it was told, and the codes that its connection was closed with. */
function watched(options: Partial<HubOptions>) {
  const glass = new GlassMeter(new FrameLog(new SharedArrayBuffer(FrameLog.bytes(1, 16)), 1, 16));
  const hub = new StreamHub({ heads: 1, glass, nowMs: () => 0, ...options });
  hubs.push(hub);
  const told: { type: string }[] = [];
  const closed: number[] = [];
  const socket = Object.assign(new EventEmitter(), {
    bufferedAmount: 0,
    send: (data: unknown) => void (typeof data === 'string' && told.push(JSON.parse(data))),
    close: (code: number) => void closed.push(code),
    ping: () => {},
    terminate: () => {},
  });
  hub.join(socket as unknown as WebSocket);
  const say = (message: unknown): void => void socket.emit('message', Buffer.from(JSON.stringify(message)), false);
  return { hub, told, closed, say };
}

test('a stream that nobody may control lets go whoever wishes for something', () => {
  const { closed, say, hub } = watched({});
  say({ type: 'control', wish: { set: { path: 'copy' } } });
  expect([closed, hub.clients, hub.refused]).toEqual([[1008], 0, 1]);
});

test('a wish is heard as it is; a refusal is told to who wished alone, who stays', () => {
  const wishes: unknown[] = [];
  const control = (wish: unknown): string | null => {
    wishes.push(wish);
    return wishes.length === 1 ? null : 'not that';
  };
  const { told, closed, say } = watched({ control });
  say({ type: 'control', wish: { set: { path: 'copy' } } });
  expect(told.filter(({ type }) => type === 'refused')).toEqual([]);
  say({ type: 'control' });
  expect(wishes).toEqual([{ set: { path: 'copy' } }, undefined]);
  expect(told.at(-1)).toEqual({ type: 'refused', why: 'not that' });
  expect(closed).toEqual([]);
});

test('a client that wishes without end is let go after some fifty wishes of a second', () => {
  let wishes = 0;
  const control = (): null => {
    wishes++;
    return null;
  };
  const { closed, say, hub } = watched({ control });
  for (let i = 0; i < 100; i++) say({ type: 'control', wish: { set: { path: 'copy' } } });
  expect([closed, hub.clients]).toEqual([[1008], 0]);
  // Keys that are held down wish some thirty times a second.
  expect(wishes).toBeGreaterThan(40);
  expect(wishes).toBeLessThan(60);
});

test('who joins is told what runs, and all are told when that changes', () => {
  const { told, hub } = watched({ greeting: () => ({ type: 'refused', why: 'hello' }) });
  expect(told.map(({ type }) => type).slice(0, 2)).toEqual(['hello', 'refused']);
  hub.tellAll({ type: 'refused', why: 'all' });
  expect(told.at(-1)).toEqual({ type: 'refused', why: 'all' });
});
