import type { WebSocket } from 'ws';
import type { ServerMessage } from './wire.ts';

/** Bytes that may wait in this program for a client, beyond which it is sent nothing. */
export const MOST_WAITING_BYTES = 2 * 1024 * 1024;
/** Frames of a head that a client may have been sent and not drawn: what waits in the network and in its decoder counts too. */
export const MOST_UNSHOWN = 24;
/** How old the oldest of these may be, ms: a picture that comes later than that is better left out. */
export const MOST_BEHIND_MS = 500;
/** Stands for the number of a frame whose picture is older than the wish for it: how long that took is no latency. */
const NOT_TIMED = -1;
/** Of the messages of a client in a second, pings and pongs among them; one that sends more is no client of this stream. */
export const MOST_MESSAGES_A_SECOND = 1000;

/** What a client was told of a head. */
interface HeadState {
  /** The decoder that it was told of: the hub's number; 0: none. */
  config: number;
  /** It cannot decode what is no key frame. */
  needsKey: boolean;
  /** Sequence numbers of the frames that it was sent and has not drawn. */
  readonly unshown: number[];
  /** The guest's numbers of these (NOT_TIMED: of a picture sent again), and when they were sent, ms. */
  readonly frames: number[];
  readonly sentMs: number[];
  /** The guest's number of the frame that it was not sent last; −1: none. */
  lostFrame: number;
  /** The cursor that it was told of: as text, and its image. */
  cursor: string;
  cursorImage: number;
}

/**
 * One that watches. It gets every packet in order from a key frame on, or none until the next key frame: when too much waits for
 * it, it loses frames, and nobody waits.
 */
export class Client {
  readonly heads: HeadState[];
  /** Frames that it was not sent though it had begun. */
  lost = 0;
  sent = 0;
  /** Whether it answered the last look whether it is there. */
  isAlive = true;
  readonly #socket: WebSocket;
  #messages = 0;
  #second = 0;

  constructor(socket: WebSocket, heads: number) {
    this.#socket = socket;
    this.heads = Array.from({ length: heads }, () => ({
      config: 0,
      needsKey: true,
      unshown: [],
      frames: [],
      sentMs: [],
      lostFrame: -1,
      cursor: '',
      cursorImage: 0,
    }));
  }

  /** Bytes that wait for it in this program. */
  get waitingBytes(): number {
    return this.#socket.bufferedAmount;
  }

  /** Whether these are too many. */
  get isCongested(): boolean {
    return this.waitingBytes > MOST_WAITING_BYTES;
  }

  /** Whether a key frame would reach it: asked for only then. */
  wantsKey(head: number): boolean {
    const { needsKey, unshown } = this.heads[head];
    return needsKey && unshown.length === 0 && this.waitingBytes === 0;
  }

  tell(message: ServerMessage): void {
    if (!this.isCongested) this.#socket.send(JSON.stringify(message));
  }

  sendBytes(bytes: Uint8Array): void {
    this.#socket.send(bytes, { binary: true });
  }

  /**
   * @param of `isAgain`: the frame was encoded before, and is now as a key frame
   * @param config the hub's number of the decoder that this packet is for @param describe tells of that decoder
   */
  frame(
    bytes: Uint8Array,
    of: { readonly head: number; readonly key: boolean; readonly seq: number; readonly frame: number; readonly isAgain: boolean },
    config: number,
    describe: ServerMessage,
  ): void {
    const state = this.heads[of.head];
    const nowMs = performance.now();
    const isBehind = this.isCongested || state.unshown.length >= MOST_UNSHOWN || nowMs - (state.sentMs[0] ?? nowMs) > MOST_BEHIND_MS;
    if (isBehind) state.needsKey = true;
    if (state.needsKey && (isBehind || !of.key)) {
      // One that waits for its first key frame has lost nothing.
      if (state.config !== 0 && !of.isAgain) {
        this.lost++;
        state.lostFrame = of.frame;
      }
      return;
    }
    if (state.config !== config) {
      this.tell(describe);
      state.config = config;
    }
    state.needsKey = false;
    state.unshown.push(of.seq);
    state.frames.push(of.isAgain && state.lostFrame !== of.frame ? NOT_TIMED : of.frame);
    state.sentMs.push(nowMs);
    this.sent++;
    this.sendBytes(bytes);
  }

  /** A frame was drawn: it and those of its head before it are with nobody any more. @returns the guest's number of it; −1: it was sent none such, or one that is not timed */
  shown(head: number, seq: number): number {
    const { unshown, frames, sentMs } = this.heads[head];
    const at = unshown.indexOf(seq);
    if (at < 0) return -1;
    const frame = frames[at];
    unshown.splice(0, at + 1);
    frames.splice(0, at + 1);
    sentMs.splice(0, at + 1);
    return frame;
  }

  /** It lost its decoder, or the head went: what it was sent it will not draw. */
  restart(head: number): void {
    const state = this.heads[head];
    state.needsKey = true;
    state.config = 0;
    state.unshown.length = 0;
    state.frames.length = 0;
    state.sentMs.length = 0;
  }

  /** Counts a message. @param cost so many others that it stands for @returns false: they are too many */
  mayTalk(nowMs: number, cost = 1): boolean {
    const second = Math.floor(nowMs / 1000);
    if (second !== this.#second) this.#messages = 0;
    this.#second = second;
    this.#messages += cost;
    return this.#messages <= MOST_MESSAGES_A_SECOND;
  }

  /** Whether it is there is asked of it; its answer sets `isAlive`. */
  ask(): void {
    this.isAlive = false;
    this.#socket.ping();
  }

  /** @param code of a WebSocket's end (RFC 6455, 7.4.1) */
  close(code: number, why: string): void {
    this.#socket.close(code, why);
  }

  /** Ends the connection at once. */
  terminate(): void {
    this.#socket.terminate();
  }
}
