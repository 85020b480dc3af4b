import { afterEach, describe, expect, test } from 'vitest';
import type { WebSocket } from 'ws';
import { DEFAULT_OPTIONS, type MachineOptions, PATHS } from '../../../core/machine/options.ts';
import { Libc } from '../../../workers/native/libc.ts';
import { whyNoStream } from '../../../workers/stream/stream.ts';
import { loadWs } from '../../../workers/stream/ws-library.ts';
import { ViewMachines } from '../../../workers/view/machines.ts';
import type { ViewFigures, ViewMessage, Wish } from '../../../workers/view/messages.ts';

const SLOW = 60_000;
const WISH: Wish = { path: 'udmabuf', resolution: '320x200', rate: '60', layout: '64k' };

/** What no machine's memory can be: the wish is found to be impossible only when it is made. */
const HUGE = { width: 8192, height: 8192, buffers: 16 };

function optionsOf({ path, resolution }: Wish): MachineOptions | string {
  const found = PATHS.find((name) => name === path);
  if (found === undefined) return `unknown path ${path}`;
  const size = resolution === 'huge' ? HUGE : { width: 320, height: 200 };
  const memory = typeof Libc.load() === 'string' ? 'shared' : 'memfd';
  const movable = found !== 'copy';
  return { ...DEFAULT_OPTIONS, rateHz: 60, sink: 'encode', card: true, logCapacity: 1024, memory, path: found, movable, ...size };
}

type Told = ViewMessage | { readonly type: 'hello' | 'bye' };

describe.skipIf(whyNoStream() !== null)('the machines of a view', () => {
  const open: { stop(): Promise<void> }[] = [];
  afterEach(async () => {
    for (const one of open.splice(0)) await one.stop();
  });

  /** They run, and one watches: what it was told, and a way to wait for some of it. */
  const start = async (wish = WISH) => {
    const ws = loadWs();
    if (typeof ws === 'string') throw new Error(ws);
    const machines = await ViewMachines.open({ wish, optionsOf, address: '127.0.0.1', port: 0 });
    const stopping = new AbortController();
    const ended = machines.run(0, stopping.signal);
    const answer = await fetch(machines.stream.server.url);
    const { origin } = new URL(machines.stream.server.url);
    const headers = { origin, cookie: (answer.headers.get('set-cookie') ?? '').split(';')[0] };
    const socket: WebSocket = new ws.WebSocket(`${origin.replace('http', 'ws')}/stream`, { headers });
    const told: Told[] = [];
    const waiting: (() => void)[] = [];
    socket.on('message', (data, isBinary) => {
      if (isBinary) return;
      told.push(JSON.parse(String(data)));
      for (const wake of waiting.splice(0)) wake();
    });
    let at = 0;
    /** The next of these, after the one that was found before. */
    const next = async <T extends Told>(is: (message: Told) => message is T): Promise<T> => {
      for (;;) {
        for (; at < told.length; at++) {
          const message = told[at];
          if (is(message)) {
            at++;
            return message;
          }
        }
        await new Promise<void>((resolve) => waiting.push(resolve));
      }
    };
    const stop = async (): Promise<void> => {
      stopping.abort();
      await ended;
      await machines.close();
    };
    open.push({ stop });
    return { machines, ended, stopping, next };
  };
  const isRunning = (message: Told): message is Extract<ViewMessage, { type: 'machine' }> =>
    message.type === 'machine' && message.phase === 'running';
  const isMeter = (message: Told): message is { type: 'meter' } & ViewFigures => message.type === 'meter';
  const flows = (message: Told): message is { type: 'meter' } & ViewFigures => isMeter(message) && message.encodedFps > 0;
  const isRefused = (message: Told): message is Extract<ViewMessage, { type: 'refused' }> => message.type === 'refused';

  test(
    'each path runs under the same connection, and copies what it is known to copy',
    async () => {
      const { machines, next } = await start();
      await next(flows);
      const stages = {
        vfio: [],
        udmabuf: [],
        'readback-blob': ['readback'],
        copy: ['transfer'],
        'readback-copy': ['readback', 'transfer'],
      };
      for (const path of ['vfio', 'readback-blob', 'copy', 'readback-copy', 'udmabuf'] as const) {
        expect(machines.control({ set: { path } })).toBeNull();
        expect((await next(isRunning)).wish.path).toBe(path);
        await next(flows);
        const { by } = await next(flows);
        const copied = ['readback', 'transfer', 'fallback', 'upload', 'gather', 'migrate'] as const;
        expect(copied.filter((stage) => by[stage] > 0)).toEqual(stages[path]);
      }
    },
    SLOW,
  );

  test(
    'a machine that cannot be made is refused with a word, and the one before runs on',
    async () => {
      const { machines, next } = await start();
      await next(flows);
      expect(machines.control({ set: { resolution: 'huge' } })).toBeNull();
      expect((await next(isRefused)).why).toMatch(/4096 MiB/);
      expect((await next(isRunning)).wish).toEqual(WISH);
      await next(flows);
    },
    SLOW,
  );

  test(
    'an eviction is refused while another is under way, while a machine starts, and where there is nothing to move',
    async () => {
      const { machines, next } = await start({ ...WISH, path: 'vfio' });
      await next(flows);
      expect(machines.control({ evict: true })).toBeNull();
      expect(machines.control({ evict: true })).toMatch(/already/);
      expect(machines.control({ set: { path: 'copy' } })).toBeNull();
      expect(machines.control({ evict: true })).toMatch(/starts/);
      await next((message): message is Told => isRunning(message) && message.wish.path === 'copy');
      await next(flows);
      expect(machines.control({ evict: true })).toMatch(/no buffer/);
    },
    SLOW,
  );
});
