import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { MachinePlan } from '../../core/machine/plan.ts';
import { monotonicNowNs } from '../../core/measure/clock.ts';
import { FrameLog } from '../../core/measure/frame-log.ts';
import { CursorBoard } from '../encode/cursor-board.ts';
import type { StreamPacket } from '../encode/encode-task.ts';
import { loadNodeAv } from '../encode/node-av.ts';
import type { EncodeTap } from '../session.ts';
import { GlassMeter } from './glass.ts';
import { type HubOptions, StreamHub } from './hub.ts';
import { type ServedFiles, StreamServer } from './stream-server.ts';
import { loadWs } from './ws-library.ts';

/** Why nothing can be streamed here and what to do; null: it can. */
export function whyNoStream(): string | null {
  const av = loadNodeAv();
  if (typeof av === 'string') return av;
  const ws = loadWs();
  return typeof ws === 'string' ? ws : null;
}

/** What another page than the stream's needs. */
export interface StreamPage extends Pick<HubOptions, 'control' | 'greeting'> {
  readonly files: ServedFiles;
}

/** A machine's frames for browsers: the server, those who watch, and what they report. One machine may follow another. */
export class Stream {
  readonly hub: StreamHub;
  readonly server: StreamServer;
  readonly glass: GlassMeter;
  /** For the first machine's session. */
  readonly tap: EncodeTap;
  #port: MessagePort | null = null;

  private constructor(hub: StreamHub, server: StreamServer, glass: GlassMeter) {
    this.hub = hub;
    this.server = server;
    this.glass = glass;
    this.tap = this.#newTap();
  }

  /** @param port 0: any that is free @throws Error why it cannot be served there */
  static async open({ options, frameLog, originNs }: MachinePlan, address: string, port: number, page?: StreamPage): Promise<Stream> {
    const { heads, logCapacity } = options;
    const glass = new GlassMeter(new FrameLog(frameLog, heads, logCapacity));
    const { files = {}, ...hears } = page ?? {};
    const hub = new StreamHub({ heads, glass, nowMs: () => (monotonicNowNs() - originNs) / 1e6, ...hears });
    try {
      return new Stream(hub, await StreamServer.open(address, port, hub, files), glass);
    } catch (error) {
      hub.close();
      throw error;
    }
  }

  /** Another machine's frames from now on, of as many heads and on the same timeline: those who watch stay. @returns for its session */
  next({ options, frameLog }: MachinePlan): EncodeTap {
    this.hub.begin(null);
    this.glass.restart(new FrameLog(frameLog, options.heads, options.logCapacity));
    return this.#newTap();
  }

  /** Lets all who watch go. */
  async close(): Promise<void> {
    this.hub.close();
    this.#port?.close();
    await this.server.close();
  }

  #newTap(): EncodeTap {
    this.#port?.close();
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    port1.on('message', (packet: StreamPacket) => this.hub.packet(packet));
    return {
      packets: port2,
      started: (encoder) => {
        const { cursors } = encoder.link.share;
        this.hub.begin({
          requestKey: (head) => encoder.requestKey(head),
          isShown: (head) => encoder.isShown(head),
          cursors: cursors === null ? null : new CursorBoard(cursors),
        });
      },
    };
  }
}
