/**
 * What goes over the WebSocket. From the server: frames and cursor images as binary messages (little-endian), all else as
 * JSON in text. From the client: JSON in text alone, short. page/wire.js is the other end.
 */
import { CURSOR_SIZE } from '../../core/protocol/constants.ts';
import { PACKET_ROOM } from '../encode/encode-task.ts';
import type { ViewMessage } from '../view/messages.ts';

/** First byte of a binary message. */
export const MessageType = { frame: 1, cursor: 2 } as const;

/** Bytes of a frame's header: type, head, 1 for a key frame, 0; u32 its sequence number; u32 the guest's frame; 12 of 0. Then H.264. */
export const FRAME_HEADER = PACKET_ROOM;
/** Of a cursor image's: type, head, side in pixels, 0; u32 the image's number. Then RGBA, the alpha not multiplied in. */
export const CURSOR_HEADER = 8;

/** The longest that a client may send, bytes. */
export const MOST_CLIENT_BYTES = 512;

/** What a server says in text. */
export type ServerMessage =
  | { readonly type: 'hello'; readonly heads: number }
  /** The decoder of a head's next frame, which is a key frame; `codec` as WebCodecs names it, the stream as of Annex B. */
  | { readonly type: 'config'; readonly head: number; readonly width: number; readonly height: number; readonly codec: string }
  | { readonly type: 'off'; readonly head: number }
  | {
      readonly type: 'cursor';
      readonly head: number;
      readonly visible: boolean;
      readonly x: number;
      readonly y: number;
      readonly hotX: number;
      readonly hotY: number;
      readonly image: number;
    }
  /** `t` as the client sent it, `s` the server's clock, ms. */
  | { readonly type: 'pong'; readonly t: number; readonly s: number }
  /** Glass to glass over all clients, ms; null: nothing was shown yet. `lost`: frames that this client was not sent. */
  | {
      readonly type: 'figures';
      readonly p50: number | null;
      readonly p99: number | null;
      readonly samples: number;
      readonly clients: number;
      readonly lost: number;
    }
  | { readonly type: 'bye' }
  | ViewMessage;

/** What a client says. */
export type ClientMessage =
  | { readonly type: 'ping'; readonly t: number }
  /** A frame was drawn. `code`: the number in its pixels, null: none was found; `at`: when, on the server's clock, ms; null: not known yet. */
  | { readonly type: 'shown'; readonly head: number; readonly seq: number; readonly code: number | null; readonly at: number | null }
  /** It cannot go on without a key frame. */
  | { readonly type: 'key'; readonly head: number }
  /** It wants something of the machine, where that can be controlled. */
  | { readonly type: 'control'; readonly wish: unknown };

/** Fills in a frame's header, for which `bytes` has room in front. */
export function writeFrameHeader(bytes: Uint8Array<ArrayBuffer>, head: number, key: boolean, seq: number, frame: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, FRAME_HEADER);
  view.setUint8(0, MessageType.frame);
  view.setUint8(1, head);
  view.setUint8(2, key ? 1 : 0);
  view.setUint32(4, seq, true);
  view.setUint32(8, frame, true);
}

/** @param pixels BGRA with the alpha multiplied in, as a guest draws it */
export function cursorMessage(head: number, image: number, pixels: Uint32Array): Uint8Array {
  const bytes = new Uint8Array(CURSOR_HEADER + pixels.length * 4);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, MessageType.cursor);
  view.setUint8(1, head);
  view.setUint8(2, CURSOR_SIZE);
  view.setUint32(4, image, true);
  for (const [i, pixel] of pixels.entries()) {
    const alpha = pixel >>> 24;
    const at = CURSOR_HEADER + i * 4;
    const straight = (value: number): number => (alpha === 0 ? 0 : Math.min(255, Math.round((value * 255) / alpha)));
    bytes[at] = straight((pixel >>> 16) & 0xff);
    bytes[at + 1] = straight((pixel >>> 8) & 0xff);
    bytes[at + 2] = straight(pixel & 0xff);
    bytes[at + 3] = alpha;
  }
  return bytes;
}

/** @returns null: it is none, and whoever sends it is no client of this stream */
export function readClientMessage(text: string, heads: number): ClientMessage | null {
  const message = parsed(text);
  if (message === null) return null;
  const { type, t, head, seq, code, at } = message;
  if (type === 'control') return { type, wish: message['wish'] };
  const isHead = isCount(head) && head < heads;
  if (type === 'ping') return typeof t === 'number' ? { type, t } : null;
  if (type === 'key') return isHead ? { type, head } : null;
  if (type !== 'shown' || !isHead || !isCount(seq)) return null;
  if (!(code === null || isCount(code)) || !(at === null || typeof at === 'number')) return null;
  return { type, head, seq, code, at };
}

function parsed(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : null;
  } catch {
    return null;
  }
}

const isCount = (value: unknown): value is number => typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 32;

/**
 * The decoder's name for a stream, from the profile, constraints and level in its sequence parameter set (RFC 6381; ITU-T H.264,
 * 7.3.2.1.1). @param from where its key frame begins @returns null: there is no sequence parameter set
 */
export function codecOf(bytes: Uint8Array, from: number): string | null {
  for (let i = from; i + 6 < bytes.length; i++) {
    if (bytes[i] !== 0 || bytes[i + 1] !== 0 || bytes[i + 2] !== 1 || (bytes[i + 3] & 0x1f) !== 7) continue;
    const hex = (value: number): string => value.toString(16).padStart(2, '0');
    return `avc1.${hex(bytes[i + 4])}${hex(bytes[i + 5])}${hex(bytes[i + 6])}`;
  }
  return null;
}
