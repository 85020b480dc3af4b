/** The page's end of ../wire.ts. */

const MessageType = { frame: 1, cursor: 2 };
const FRAME_HEADER = 24;
const CURSOR_HEADER = 8;

/**
 * A binary message.
 * @param {ArrayBuffer} buffer
 */
export function readBinary(buffer) {
  const view = new DataView(buffer);
  const type = view.getUint8(0);
  const head = view.getUint8(1);
  if (type === MessageType.frame) {
    return {
      type: 'frame',
      head,
      key: view.getUint8(2) === 1,
      seq: view.getUint32(4, true),
      frame: view.getUint32(8, true),
      data: new Uint8Array(buffer, FRAME_HEADER),
    };
  }
  if (type === MessageType.cursor) {
    const side = view.getUint8(2);
    return { type: 'cursor', head, side, image: view.getUint32(4, true), pixels: new Uint8ClampedArray(buffer, CURSOR_HEADER) };
  }
  return null;
}
