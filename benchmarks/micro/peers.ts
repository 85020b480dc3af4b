/** What else two threads of Node can talk by, doing as nearly as possible what a ring does. */
import { once } from 'node:events';
import { extname } from 'node:path';
import { MessageChannel } from 'node:worker_threads';
import { type CpuPair, pinThread } from './affinity.ts';
import type { MicroBenchmark, Prepared } from './benchmark.ts';
import { RING_SIZE } from './ring-work.ts';
import { openRingBuffer, ringBufferMemory } from './ringbuf.ts';
import { startThread } from './threads.ts';

export type PeerPlan =
  | { readonly peer: 'messagechannel'; readonly port: MessagePort }
  | { readonly peer: 'ringbuf.js'; readonly available: SharedArrayBuffer; readonly used: SharedArrayBuffer; readonly stop: Int32Array };

/** u32 words of a descriptor and of a used element. */
export const DESCRIPTOR_WORDS = 4;
export const USED_WORDS = 2;

export const PEER_BENCHMARKS: readonly MicroBenchmark[] = [
  { name: 'peer/messagechannel/round-trip', unit: 'ns/round trip', limit: null, threads: 2, setUp: messageChannel },
  { name: 'peer/piscina/round-trip', unit: 'ns/round trip', limit: null, threads: 2, setUp: piscina },
  { name: 'peer/ringbuf.js/threads', unit: 'ns/buffer', limit: null, threads: 2, setUp: ringBuffer },
];

async function messageChannel(cpus: CpuPair | null): Promise<Prepared> {
  const { port1, port2 } = new MessageChannel();
  const other = await startThread<PeerPlan>('peer-worker', { peer: 'messagechannel', port: port2 }, cpus?.[1] ?? null, [port2]);
  const pinned = await pinnedBoth(cpus, other.pinned);
  return {
    run: async (count) => {
      for (let i = 0; i < count; i++) {
        port1.postMessage(i);
        await once(port1, 'message');
      }
    },
    count: 16,
    pinned,
    async close() {
      port1.close();
      await other.ended;
    },
  };
}

/** A pool of one thread, as the session's control plane uses it. Its thread cannot be pinned from here. */
async function piscina(): Promise<Prepared> {
  const { Piscina } = await import('piscina');
  const filename = new URL(`./piscina-task${extname(import.meta.url)}`, import.meta.url).href;
  const pool = new Piscina({ filename, minThreads: 1, maxThreads: 1, idleTimeout: 60_000 });
  return {
    run: async (count) => {
      for (let i = 0; i < count; i++) await pool.run(i);
    },
    count: 16,
    pinned: null,
    close: () => pool.destroy(),
  };
}

/** Descriptors go one way and used elements the other, each pushed and taken by itself; as many outstanding as in a ring. */
async function ringBuffer(cpus: CpuPair | null): Promise<Prepared> {
  const available = await ringBufferMemory(RING_SIZE * DESCRIPTOR_WORDS);
  const used = await ringBufferMemory(RING_SIZE * USED_WORDS);
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const plan: PeerPlan = { peer: 'ringbuf.js', available, used, stop };
  const other = await startThread('peer-worker', plan, cpus?.[1] ?? null);
  const pinned = await pinnedBoth(cpus, other.pinned);
  const to = await openRingBuffer(available);
  const from = await openRingBuffer(used);
  const descriptor = new Uint32Array(DESCRIPTOR_WORDS);
  const element = new Uint32Array(USED_WORDS);
  let outstanding = 0;
  let token = 0;
  return {
    run: (count) => {
      for (let done = 0; done < count; ) {
        while (outstanding < RING_SIZE) {
          descriptor[0] = token * 256;
          descriptor[2] = 64;
          descriptor[3] = token;
          if (to.push(descriptor) !== DESCRIPTOR_WORDS) throw new Error('ringbuf.js is full');
          token = (token + 1) & (RING_SIZE - 1);
          outstanding++;
        }
        while (from.pop(element) === USED_WORDS) {
          outstanding--;
          done++;
        }
      }
    },
    count: 2048,
    pinned,
    async close() {
      Atomics.store(stop, 0, 1);
      await other.ended;
    },
  };
}

async function pinnedBoth(cpus: CpuPair | null, other: boolean): Promise<boolean | null> {
  return cpus === null ? null : (await pinThread(cpus[0])) === null && other;
}
