/**
 * vhost-user messages (QEMU docs/interop/vhost-user.rst): numbers, sizes and how many file descriptors come along, for
 * both ends. Everything is little-endian as on the hosts that run it. Pure: bytes in, fields out.
 */

/** Requests of the front end. */
export const VhostUser = {
  GET_FEATURES: 1,
  SET_FEATURES: 2,
  SET_OWNER: 3,
  RESET_OWNER: 4,
  SET_MEM_TABLE: 5,
  SET_VRING_NUM: 8,
  SET_VRING_ADDR: 9,
  SET_VRING_BASE: 10,
  GET_VRING_BASE: 11,
  SET_VRING_KICK: 12,
  SET_VRING_CALL: 13,
  SET_VRING_ERR: 14,
  GET_PROTOCOL_FEATURES: 15,
  SET_PROTOCOL_FEATURES: 16,
  GET_QUEUE_NUM: 17,
  SET_VRING_ENABLE: 18,
  SET_BACKEND_REQ_FD: 21,
  GET_CONFIG: 24,
  SET_CONFIG: 25,
  GPU_SET_SOCKET: 33,
} as const;

/** Requests of the back end, on the socket that SET_BACKEND_REQ_FD gave it. */
export const VhostUserBackend = { CONFIG_CHANGE: 2 } as const;

/** struct virtio_gpu_config (virtio 1.3 § 5.7.4): its bytes, and where its fields lie. */
export const GPU_CONFIG_BYTES = 16;
export const GpuConfig = { eventsRead: 0, eventsClear: 4, numScanouts: 8, numCapsets: 12 } as const;

/** VHOST_USER_F_PROTOCOL_FEATURES, a feature bit of vhost-user's own. */
export const PROTOCOL_FEATURES_BIT = 30;

/** Protocol feature bits. */
export const ProtocolFeature = { MQ: 0, REPLY_ACK: 3, BACKEND_REQ: 5, CONFIG: 9 } as const;

export const VHOST_HEADER = 12;
export const VHOST_VERSION = 1;
export const VHOST_VERSION_MASK = 3;
export const VHOST_REPLY = 4;
export const VHOST_NEED_REPLY = 8;
/** Regions of a memory table, so file descriptors of a message. */
export const MAX_REGIONS = 8;
/** Bytes of configuration space that a message carries at most. */
export const MAX_CONFIG = 256;
/** The longest payload there is. */
export const MAX_PAYLOAD = 12 + MAX_CONFIG;
/** Of a SET_VRING_KICK, CALL or ERR: there is no file descriptor. */
export const VRING_NO_FD = 0x100;

/** What a request looks like: its name for people, bytes of payload and file descriptors, least and most. */
export interface MessageShape {
  readonly name: string;
  readonly least: number;
  readonly most: number;
  readonly leastFds: number;
  readonly mostFds: number;
}

const shape = (name: string, least: number, most = least, leastFds = 0, mostFds = leastFds): MessageShape => ({
  name,
  least,
  most,
  leastFds,
  mostFds,
});

/** By request. Others are refused. */
export const SHAPES: ReadonlyMap<number, MessageShape> = new Map([
  [VhostUser.GET_FEATURES, shape('GET_FEATURES', 0)],
  [VhostUser.SET_FEATURES, shape('SET_FEATURES', 8)],
  [VhostUser.SET_OWNER, shape('SET_OWNER', 0)],
  [VhostUser.RESET_OWNER, shape('RESET_OWNER', 0)],
  [VhostUser.SET_MEM_TABLE, shape('SET_MEM_TABLE', 8, 8 + 32 * MAX_REGIONS, 0, MAX_REGIONS)],
  [VhostUser.SET_VRING_NUM, shape('SET_VRING_NUM', 8)],
  [VhostUser.SET_VRING_ADDR, shape('SET_VRING_ADDR', 40)],
  [VhostUser.SET_VRING_BASE, shape('SET_VRING_BASE', 8)],
  [VhostUser.GET_VRING_BASE, shape('GET_VRING_BASE', 8)],
  [VhostUser.SET_VRING_KICK, shape('SET_VRING_KICK', 8, 8, 0, 1)],
  [VhostUser.SET_VRING_CALL, shape('SET_VRING_CALL', 8, 8, 0, 1)],
  [VhostUser.SET_VRING_ERR, shape('SET_VRING_ERR', 8, 8, 0, 1)],
  [VhostUser.GET_PROTOCOL_FEATURES, shape('GET_PROTOCOL_FEATURES', 0)],
  [VhostUser.SET_PROTOCOL_FEATURES, shape('SET_PROTOCOL_FEATURES', 8)],
  [VhostUser.GET_QUEUE_NUM, shape('GET_QUEUE_NUM', 0)],
  [VhostUser.SET_VRING_ENABLE, shape('SET_VRING_ENABLE', 8)],
  [VhostUser.SET_BACKEND_REQ_FD, shape('SET_BACKEND_REQ_FD', 0, 8, 1)],
  [VhostUser.GPU_SET_SOCKET, shape('GPU_SET_SOCKET', 0, 8, 1)],
  [VhostUser.GET_CONFIG, shape('GET_CONFIG', 12, MAX_PAYLOAD)],
  [VhostUser.SET_CONFIG, shape('SET_CONFIG', 12, MAX_PAYLOAD)],
]);

/** One region of a memory table. Addresses past 2^53 − 1 are Infinity: they lie nowhere. */
export interface TableRegion {
  /** Guest-physical address. */
  readonly gpa: number;
  readonly size: number;
  /** The front end's own address of it, in which it gives ring addresses. */
  readonly userAddress: number;
  /** Where it begins in its file. */
  readonly fileOffset: number;
}

const TWO_32 = 4294967296;

/** A u64; Infinity when it is past 2^53 − 1. */
export function readU64(view: DataView, at: number): number {
  const value = view.getUint32(at + 4, true) * TWO_32 + view.getUint32(at, true);
  return Number.isSafeInteger(value) ? value : Number.POSITIVE_INFINITY;
}

export function writeU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % TWO_32, true);
  view.setUint32(at + 4, Math.floor(value / TWO_32), true);
}

/** Why a message cannot be what it says, or null. The size is the payload's, from the header. */
export function messageFault(request: number, flags: number, size: number): string | null {
  if ((flags & VHOST_VERSION_MASK) !== VHOST_VERSION)
    return `request ${request} is of version ${flags & VHOST_VERSION_MASK}, not ${VHOST_VERSION}`;
  if ((flags & VHOST_REPLY) !== 0) return `request ${request} is marked as a reply`;
  const known = SHAPES.get(request);
  if (known === undefined) return `request ${request} is unknown`;
  if (size < known.least || size > known.most) return `${known.name} has ${size} bytes, not ${sizes(known)}`;
  return null;
}

/** As `messageFault`, of an answer: its size is its request's business, up to what there is. */
export function replyFault(request: number, flags: number, size: number): string | null {
  if ((flags & VHOST_VERSION_MASK) !== VHOST_VERSION)
    return `answer ${request} is of version ${flags & VHOST_VERSION_MASK}, not ${VHOST_VERSION}`;
  if ((flags & VHOST_REPLY) === 0) return `answer ${request} is not marked as one`;
  if (size > MAX_PAYLOAD) return `answer ${request} has ${size} bytes; ${MAX_PAYLOAD} are the most`;
  return null;
}

/** As `messageFault`, of a back end's own request, on the socket that SET_BACKEND_REQ_FD gave it: only CONFIG_CHANGE is one. */
export function backEndMessageFault(request: number, flags: number, size: number): string | null {
  if (request !== VhostUserBackend.CONFIG_CHANGE || size !== 0) return `the back end's request ${request} of ${size} bytes is unknown`;
  const odd = (flags & (VHOST_VERSION_MASK | VHOST_REPLY)) !== VHOST_VERSION;
  return odd ? `the back end's CONFIG_CHANGE has flags 0x${flags.toString(16)}` : null;
}

/** What may come on a socket. */
export interface MessageRules {
  /** Why a header cannot be one, or null. */
  readonly fault: (request: number, flags: number, size: number) => string | null;
  /** File descriptors that come with a message: least and most. */
  readonly fds: (request: number) => { readonly leastFds: number; readonly mostFds: number };
}

const NO_FDS = { leastFds: 0, mostFds: 0 };
/** What a front end asks. */
export const REQUESTS: MessageRules = { fault: messageFault, fds: (request) => SHAPES.get(request) ?? NO_FDS };
/** What it is answered. */
export const ANSWERS: MessageRules = { fault: replyFault, fds: () => NO_FDS };
/** What a back end asks. */
export const BACK_END_REQUESTS: MessageRules = { fault: backEndMessageFault, fds: () => NO_FDS };

const sizes = ({ least, most }: MessageShape): string => (least === most ? String(least) : `${least} to ${most}`);

/** Regions of a SET_MEM_TABLE payload, or why it is none. */
export function readMemTable(payload: DataView, fds: number): TableRegion[] | string {
  const count = payload.getUint32(0, true);
  if (count > MAX_REGIONS) return `SET_MEM_TABLE names ${count} regions; ${MAX_REGIONS} are the most`;
  if (payload.byteLength < 8 + 32 * count) return `SET_MEM_TABLE names ${count} regions in ${payload.byteLength} bytes`;
  if (fds !== count) return `SET_MEM_TABLE names ${count} regions and brings ${fds} file descriptors`;
  return Array.from({ length: count }, (_, i) => {
    const at = 8 + 32 * i;
    return {
      gpa: readU64(payload, at),
      size: readU64(payload, at + 8),
      userAddress: readU64(payload, at + 16),
      fileOffset: readU64(payload, at + 24),
    };
  });
}

/** A SET_MEM_TABLE payload. */
export function memTable(regions: readonly TableRegion[]): Uint8Array {
  const bytes = new Uint8Array(8 + 32 * regions.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, regions.length, true);
  regions.forEach(({ gpa, size, userAddress, fileOffset }, i) => {
    const at = 8 + 32 * i;
    writeU64(view, at, gpa);
    writeU64(view, at + 8, size);
    writeU64(view, at + 16, userAddress);
    writeU64(view, at + 24, fileOffset);
  });
  return bytes;
}

/** A message's header and payload in one. */
export function message(request: number, flags: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(VHOST_HEADER + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, request, true);
  view.setUint32(4, VHOST_VERSION | flags, true);
  view.setUint32(8, payload.length, true);
  bytes.set(payload, VHOST_HEADER);
  return bytes;
}

/** Two u32, as most vring messages carry: an index and a number. */
export function pair(first: number, second: number): Uint8Array {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, first, true);
  view.setUint32(4, second, true);
  return bytes;
}
