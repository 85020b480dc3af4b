import type { WebSocket } from 'ws';
import { CURSOR_SIZE } from '../../core/protocol/constants.ts';
import type { CursorBoard } from '../encode/cursor-board.ts';
import type { StreamPacket } from '../encode/encode-task.ts';
import { Client } from './client.ts';
import type { GlassMeter } from './glass.ts';
import { codecOf, cursorMessage, FRAME_HEADER, readClientMessage, type ServerMessage, writeFrameHeader } from './wire.ts';

/** Between two looks at cursors, heads and clients that wait, ms. */
const TICK_MS = 16;
/** Between two key frames of a head that are asked for, at least, ms: they cost everybody. */
const KEY_MS = 250;
const FIGURES_MS = 1000;
/** A client that says nothing for so long is gone, ms. */
const ALIVE_MS = 30_000;
/** Messages that a wish counts for: another machine may come of it. */
const WISH_COST = 20;
/** Codes of a WebSocket's end (RFC 6455, 7.4.1). */
const GOING_AWAY = 1001;
const POLICY_VIOLATION = 1008;

export interface HubOptions {
  readonly heads: number;
  readonly glass: GlassMeter;
  /** On the session's timeline, ms. */
  readonly nowMs: () => number;
  /** Hears what a client wants of the machine; absent: nobody may want anything. @returns why not; null: it is done */
  readonly control?: (wish: unknown) => string | null;
  /** What a client is told when it joins, and by `tellAll` later. */
  readonly greeting?: () => ServerMessage;
}

/** Where a hub's frames come from, once there is one. */
export interface HubSource {
  requestKey(head: number): void;
  /** Whether a head shows an image. */
  isShown(head: number): boolean;
  readonly cursors: CursorBoard | null;
}

interface Head {
  /** Counts the decoders that its frames have needed. */
  config: number;
  describe: ServerMessage | null;
  /** The guest's number of the last frame that was encoded; −1: none. */
  frame: number;
  /** When a key frame was asked for last, ms. */
  keyAskedMs: number;
  isShown: boolean;
  cursor: string;
  cursorMessage: ServerMessage | null;
  cursorImage: number;
  cursorBytes: Uint8Array | null;
}

/** Sends each packet on to all who watch, and hears what they say. On the thread of whoever made it; never waits. */
export class StreamHub {
  readonly #options: HubOptions;
  readonly #clients = new Set<Client>();
  readonly #heads: Head[];
  readonly #cursorPixels = new Uint32Array(CURSOR_SIZE * CURSOR_SIZE);
  readonly #timer: NodeJS.Timeout;
  #source: HubSource | null = null;
  #seq = 0;
  #figuresMs = 0;
  #askedMs = 0;
  /** Clients that ever joined. */
  joined = 0;
  /** Frames that were encoded. */
  packets = 0;
  /** Frames that clients were sent and not sent, over all who ever watched. */
  sent = 0;
  lost = 0;
  /** Clients that were let go because they said what no client says. */
  refused = 0;

  constructor(options: HubOptions) {
    this.#options = options;
    this.#heads = Array.from({ length: options.heads }, () => ({
      config: 0,
      describe: null,
      frame: -1,
      keyAskedMs: Number.NEGATIVE_INFINITY,
      isShown: false,
      cursor: '',
      cursorMessage: null,
      cursorImage: 0,
      cursorBytes: null,
    }));
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  get clients(): number {
    return this.#clients.size;
  }

  /** Frames that the client was not sent which joined as number `index` of those who watch now. */
  lostBy(index: number): number {
    return [...this.#clients][index].lost;
  }

  /** Bytes that wait in this program for the client for which most do. */
  get mostWaiting(): number {
    return Math.max(0, ...[...this.#clients].map(({ waitingBytes }) => waitingBytes));
  }

  /** Packets and cursors come from there from now on; null: from nowhere. */
  begin(source: HubSource | null): void {
    this.#source = source;
    for (const head of this.#heads) head.frame = -1;
  }

  tellAll(message: ServerMessage): void {
    for (const client of this.#clients) client.tell(message);
  }

  packet({ head, frame, key, width, height, bytes }: StreamPacket): void {
    this.packets++;
    const state = this.#heads[head];
    if (!state.isShown) this.#look(head);
    if (key) this.#configure(head, width, height, bytes);
    const isAgain = frame === state.frame;
    state.frame = frame;
    const { describe } = state;
    if (describe === null) return;
    this.#seq = (this.#seq + 1) >>> 0;
    writeFrameHeader(bytes, head, key, this.#seq, frame);
    const of = { head, key, seq: this.#seq, frame, isAgain };
    for (const client of this.#clients) client.frame(bytes, of, state.config, describe);
  }

  /** A browser has connected. */
  join(socket: WebSocket): void {
    const client = new Client(socket, this.#heads.length);
    this.#clients.add(client);
    this.joined++;
    socket.on('message', (data, isBinary) => {
      if (this.#mayTalk(client) && (isBinary || !this.#hear(client, String(data)))) this.#refuse(client);
    });
    // ws answers it.
    socket.on('ping', () => void this.#mayTalk(client));
    socket.on('pong', () => {
      if (this.#mayTalk(client)) client.isAlive = true;
    });
    socket.on('close', () => this.#drop(client));
    // `close` follows.
    socket.on('error', () => client.terminate());
    client.tell({ type: 'hello', heads: this.#heads.length });
    if (this.#options.greeting !== undefined) client.tell(this.#options.greeting());
    this.#tick();
  }

  /** Tells all of the end and lets them go. */
  close(): void {
    clearInterval(this.#timer);
    for (const client of this.#clients) {
      client.tell({ type: 'bye' });
      client.close(GOING_AWAY, 'the stream has ended');
      this.#drop(client);
    }
  }

  /** Counts what a client says. @returns false: it is not heard, as it was let go, now or before */
  #mayTalk(client: Client): boolean {
    if (!this.#clients.has(client)) return false;
    const mayTalk = client.mayTalk(this.#options.nowMs());
    if (!mayTalk) this.#refuse(client);
    return mayTalk;
  }

  /** It said what no client says. */
  #refuse(client: Client): void {
    this.refused++;
    this.#drop(client);
    client.close(POLICY_VIOLATION, 'this is no message of a client');
  }

  #drop(client: Client): void {
    if (!this.#clients.delete(client)) return;
    this.sent += client.sent;
    this.lost += client.lost;
  }

  /** @returns false: it is no message of a client */
  #hear(client: Client, text: string): boolean {
    const message = readClientMessage(text, this.#heads.length);
    if (message === null) return false;
    client.isAlive = true;
    if (message.type === 'ping') client.tell({ type: 'pong', t: message.t, s: this.#options.nowMs() });
    else if (message.type === 'key') client.restart(message.head);
    else if (message.type === 'control') return this.#control(client, message.wish);
    else {
      const frame = client.shown(message.head, message.seq);
      if (frame >= 0 && message.code !== null && message.at !== null)
        this.#options.glass.shown(message.head, message.code, frame, message.at);
    }
    return true;
  }

  #control(client: Client, wish: unknown): boolean {
    const { control } = this.#options;
    if (control === undefined || !client.mayTalk(this.#options.nowMs(), WISH_COST)) return false;
    const why = control(wish);
    if (why !== null) client.tell({ type: 'refused', why });
    return true;
  }

  /** Another decoder where the size or what stands in the parameter set has changed. */
  #configure(head: number, width: number, height: number, bytes: Uint8Array): void {
    const codec = codecOf(bytes, FRAME_HEADER);
    const state = this.#heads[head];
    if (codec === null) return;
    const { describe } = state;
    if (describe?.type === 'config' && describe.width === width && describe.height === height && describe.codec === codec) return;
    state.describe = { type: 'config', head, width, height, codec };
    state.config++;
  }

  #tick(): void {
    const nowMs = this.#options.nowMs();
    for (let head = 0; head < this.#heads.length; head++) {
      this.#look(head);
      this.#tellHead(head, nowMs);
    }
    if (nowMs - this.#figuresMs >= FIGURES_MS) {
      this.#figuresMs = nowMs;
      const figures = this.#options.glass.figures();
      for (const client of this.#clients) client.tell({ type: 'figures', ...figures, clients: this.#clients.size, lost: client.lost });
    }
    if (nowMs - this.#askedMs >= ALIVE_MS) {
      this.#askedMs = nowMs;
      for (const client of this.#clients) {
        if (client.isAlive) client.ask();
        else client.terminate();
      }
    }
  }

  /** What a head shows now, and its cursor. */
  #look(head: number): void {
    const source = this.#source;
    const state = this.#heads[head];
    const isShown = source?.isShown(head) ?? false;
    if (state.isShown && !isShown) {
      for (const client of this.#clients) {
        client.restart(head);
        client.tell({ type: 'off', head });
      }
    }
    state.isShown = isShown;
    const cursor = source?.cursors?.read(head, null) ?? null;
    if (cursor === null) return;
    const text = JSON.stringify(cursor);
    if (text === state.cursor) return;
    if (cursor.image !== state.cursorImage) {
      // One that changes meanwhile is read at the next look.
      if (source?.cursors?.read(head, this.#cursorPixels)?.image !== cursor.image) return;
      state.cursorImage = cursor.image;
      state.cursorBytes = cursorMessage(head, cursor.image, this.#cursorPixels);
    }
    state.cursor = text;
    state.cursorMessage = { type: 'cursor', head, ...cursor };
  }

  /** Tells those who can hear it of the head's cursor, and has a key frame made for those who need one. */
  #tellHead(head: number, nowMs: number): void {
    const state = this.#heads[head];
    let wanted = false;
    for (const client of this.#clients) {
      if (client.wantsKey(head)) wanted = true;
      const told = client.heads[head];
      if (state.cursorMessage === null || told.cursor === state.cursor || client.isCongested) continue;
      if (told.cursorImage !== state.cursorImage && state.cursorBytes !== null) client.sendBytes(state.cursorBytes);
      told.cursorImage = state.cursorImage;
      told.cursor = state.cursor;
      client.tell(state.cursorMessage);
    }
    if (!wanted || !state.isShown || nowMs - state.keyAskedMs < KEY_MS) return;
    state.keyAskedMs = nowMs;
    this.#source?.requestKey(head);
  }
}
