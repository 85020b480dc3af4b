import { type Libc, MSG_DONTWAIT, MSG_NOSIGNAL, NativeError } from './libc.ts';

const MSG_CMSG_CLOEXEC = 0x40000000;
const MSG_CTRUNC = 8;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
/** struct msghdr, struct iovec and struct cmsghdr of 64-bit Linux. */
const MSGHDR = 56;
const IOVEC = 16;
const CMSGHDR = 16;
/** File descriptors that one message may bring (the kernel's SCM_MAX_FD is 253). */
const MOST_FDS = 8;
const CONTROL = CMSGHDR + 4 * MOST_FDS;
/** sun_path and its end. */
const MOST_PATH = 107;

/** struct sockaddr_un. @throws NativeError ENAMETOOLONG, or EINVAL for no path */
export function socketAddress(path: string): Uint8Array {
  const name = new TextEncoder().encode(path);
  if (name.length > MOST_PATH) throw new NativeError('bind', 'ENAMETOOLONG', `a socket's path has ${MOST_PATH} bytes at most: ${path}`);
  // An empty name would be an address that has no path.
  if (name.length === 0) throw new NativeError('bind', 'EINVAL', 'a socket needs a path');
  const address = new Uint8Array(2 + name.length + 1);
  address[0] = 1;
  address.set(name, 2);
  return address;
}

/** A Unix stream socket that carries bytes and file descriptors. Waits only where it is told to. */
export class FdSocket {
  readonly fd: number;
  readonly #libc: Libc;
  readonly #arena: Uint8Array;
  readonly #view: DataView;
  readonly #base: bigint;
  readonly #room: number;

  /** @param room the most bytes of one `receive` or `send` */
  constructor(libc: Libc, fd: number, room: number) {
    this.fd = fd;
    this.#libc = libc;
    this.#room = room;
    // Shared memory does not move: addresses in it may be kept.
    this.#arena = new Uint8Array(new SharedArrayBuffer(MSGHDR + IOVEC + CONTROL + room));
    this.#view = new DataView(this.#arena.buffer);
    this.#base = libc.addressOf(this.#arena);
  }

  /**
   * Takes up to `bytes` that are there, into `into` at `at`, and the file descriptors that came with them, which are then
   * the caller's.
   * @param waits until something is there, which blocks the thread
   * @returns how many bytes; 0: the other end is gone; −1: nothing is there, or a signal came
   * @throws NativeError; EMSGSIZE when more file descriptors came than are taken (all are closed)
   */
  receive(into: Uint8Array, at: number, bytes: number, fds: number[], waits = false): number {
    this.#header(Math.min(bytes, this.#room), CONTROL);
    const got = this.#libc.recvmsg(this.fd, this.#arena, (waits ? 0 : MSG_DONTWAIT) | MSG_CMSG_CLOEXEC);
    if (typeof got === 'string') {
      if (got === 'EAGAIN' || got === 'EINTR') return -1;
      if (got === 'ECONNRESET') return 0;
      throw new NativeError('recvmsg', got);
    }
    const before = fds.length;
    this.#takeFds(fds);
    if ((this.#view.getInt32(48, true) & MSG_CTRUNC) !== 0 || fds.length > MOST_FDS) {
      this.closeAll(fds.splice(before));
      throw new NativeError('recvmsg', 'EMSGSIZE', `more than ${MOST_FDS} file descriptors came with one message`);
    }
    const from = MSGHDR + IOVEC + CONTROL;
    if (got > 0) into.set(this.#arena.subarray(from, from + got), at);
    return got;
  }

  /**
   * Sends all of `bytes` or throws: what an other end does not take that reads is little.
   * @throws NativeError; RangeError for more than fits
   */
  send(bytes: Uint8Array, fds: readonly number[] = []): void {
    if (bytes.length > this.#room || fds.length > MOST_FDS) throw new RangeError(`${bytes.length} bytes, ${fds.length} descriptors`);
    this.#arena.set(bytes, MSGHDR + IOVEC + CONTROL);
    const control = fds.length === 0 ? 0 : CMSGHDR + 8 * Math.ceil(fds.length / 2);
    this.#header(bytes.length, control);
    const at = MSGHDR + IOVEC;
    if (fds.length > 0) {
      this.#view.setBigUint64(at, BigInt(CMSGHDR + 4 * fds.length), true);
      this.#view.setInt32(at + 8, SOL_SOCKET, true);
      this.#view.setInt32(at + 12, SCM_RIGHTS, true);
      fds.forEach((fd, i) => {
        this.#view.setInt32(at + CMSGHDR + 4 * i, fd, true);
      });
    }
    const sent = this.#libc.sendmsg(this.fd, this.#arena, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent !== bytes.length) throw new NativeError('sendmsg', typeof sent === 'string' ? sent : 'EAGAIN', 'the other end does not read');
  }

  /** Closes descriptors that came. */
  closeAll(fds: readonly number[]): void {
    for (const fd of fds) this.#libc.close(fd);
  }

  close(): void {
    this.#libc.close(this.fd);
  }

  /** struct msghdr {name, namelen, iov, iovlen, control, controllen, flags} and its one struct iovec. */
  #header(bytes: number, control: number): void {
    const view = this.#view;
    const base = this.#base;
    // Once: what stays is not written again.
    if (view.getUint32(24, true) === 0) {
      view.setBigUint64(16, base + BigInt(MSGHDR), true);
      view.setBigUint64(24, 1n, true);
      view.setBigUint64(MSGHDR, base + BigInt(MSGHDR + IOVEC + CONTROL), true);
    }
    view.setBigUint64(32, control === 0 ? 0n : base + BigInt(MSGHDR + IOVEC), true);
    // The low halves: both are small.
    view.setUint32(40, control, true);
    view.setUint32(48, 0, true);
    view.setUint32(MSGHDR + 8, bytes, true);
  }

  #takeFds(fds: number[]): void {
    const view = this.#view;
    const length = Number(view.getBigUint64(40, true));
    for (let at = 0; at + CMSGHDR <= length; ) {
      const bytes = Number(view.getBigUint64(MSGHDR + IOVEC + at, true));
      if (bytes < CMSGHDR) return;
      const isRights =
        view.getInt32(MSGHDR + IOVEC + at + 8, true) === SOL_SOCKET && view.getInt32(MSGHDR + IOVEC + at + 12, true) === SCM_RIGHTS;
      for (let i = CMSGHDR; isRights && i + 4 <= bytes; i += 4) fds.push(view.getInt32(MSGHDR + IOVEC + at + i, true));
      at += 8 * Math.ceil(bytes / 8);
    }
  }
}
