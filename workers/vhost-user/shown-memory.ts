/**
 * What a GPU socket (gpu-socket.ts) carries beside QEMU's requests where frames are shown in the guest's memory: its files once,
 * where each buffer lies in them once, then a few bytes a frame. Framed as QEMU's, in the machine's own byte order.
 */

/** Words before a payload: request, flags, bytes of the payload. */
export const HEADER_WORDS = 3;
export const REPLY = 4;

/** The bit of protocol features with which a display says that it takes these: the last one, which QEMU does not use. */
export const SHOWS_MEMORY = { lo: 0, hi: 0x80000000 } as const;

export const MemoryRequest = {
  /** {id, size: u64, offset: u64}, with the file's descriptor. */
  FILE: 0x1000,
  /** {buffer, width, height, stride, offset: u64, segments} and so many {file, bytes, at: u64}. A buffer known already is another from now on. */
  BUFFER: 0x1001,
  /** {scanout, buffer, frame}. Answered by {scanout, frame} when it has been looked at. */
  SHOW: 0x1002,
  /** {buffer}: nobody looks at it any more. */
  FORGET: 0x1003,
  /** {id}: likewise a file, which no buffer lies in. */
  FORGET_FILE: 0x1004,
} as const;

export const FILE_WORDS = 5;
export const BUFFER_WORDS = 7;
export const SEGMENT_WORDS = 4;
export const SHOW_WORDS = 3;
export const SHOWN_WORDS = 2;
export const FORGET_WORDS = 1;
/** Segments of a buffer at most: as many as the entries of a blob. */
export const MOST_SEGMENTS = 16384;
