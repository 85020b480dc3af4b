import { MessageChannel } from 'node:worker_threads';
import type { MachinePlan } from '../../core/machine/plan.ts';
import { monotonicNowNs } from '../../core/measure/clock.ts';
import { FrameLog } from '../../core/measure/frame-log.ts';
import { CursorBoard } from '../encode/cursor-board.ts';
import type { StreamPacket } from '../encode/encode-task.ts';
import { loadNodeAv } from '../encode/node-av.ts';
import type { EncodeTap } from '../session.ts';
import { GlassMeter } from './glass.ts';
import { StreamHub } from './hub.ts';
import { StreamServer } from './stream-server.ts';
import { loadWs } from './ws-library.ts';

/** Why nothing can be streamed here and what to do; null: it can. */
export function whyNoStream(): string | null {
  const av = loadNodeAv();
  if (typeof av === 'string') return av;
  const ws = loadWs();
  return typeof ws === 'string' ? ws : null;
}

/** A machine's frames for browsers: the server, those who watch, and what they report. */
export class Stream {
  readonly hub: StreamHub;
  readonly server: StreamServer;
  readonly glass: GlassMeter;
  /** For the machine's session. */
  readonly tap: EncodeTap;
  readonly #close: () => void;

  private constructor(hub: StreamHub, server: StreamServer, glass: GlassMeter) {
    this.hub = hub;
    this.server = server;
    this.glass = glass;
    const { port1, port2 } = new MessageChannel();
    port1.on('message', (packet: StreamPacket) => hub.packet(packet));
    this.#close = () => port1.close();
    this.tap = {
      packets: port2,
      started: (encoder) => {
        const { cursors } = encoder.link.share;
        hub.begin({
          requestKey: (head) => encoder.requestKey(head),
          isShown: (head) => encoder.isShown(head),
          cursors: cursors === null ? null : new CursorBoard(cursors),
        });
      },
    };
  }

  /** @param port 0: any that is free @throws Error why it cannot be served there */
  static async open({ options, frameLog, originNs }: MachinePlan, address: string, port: number): Promise<Stream> {
    const { heads, logCapacity } = options;
    const glass = new GlassMeter(new FrameLog(frameLog, heads, logCapacity));
    const hub = new StreamHub({ heads, glass, nowMs: () => (monotonicNowNs() - originNs) / 1e6 });
    try {
      return new Stream(hub, await StreamServer.open(address, port, hub), glass);
    } catch (error) {
      hub.close();
      throw error;
    }
  }

  /** Lets all who watch go. */
  async close(): Promise<void> {
    this.hub.close();
    this.#close();
    await this.server.close();
  }
}
