import {
  ANSWERS,
  MAX_PAYLOAD,
  memTable,
  message,
  ProtocolFeature,
  pair,
  readU64,
  SHAPES,
  type TableRegion,
  VHOST_HEADER,
  VHOST_NEED_REPLY,
  VhostUser,
  writeU64,
} from '../../core/protocol/vhost-user.ts';
import type { Libc } from '../native/libc.ts';
import { PollSet } from '../native/poll.ts';
import { FdSocket, socketAddress } from '../native/socket.ts';
import { Connection } from './connection.ts';
import { PeerError } from './peer-error.ts';

/** How long a back end may take to answer, and how often patience is looked at meanwhile. */
const ANSWER_NS = 10e9;
const LOOK_NS = 50e6;

/** A region and the file behind it. */
export interface SharedRegion extends TableRegion {
  readonly fd: number;
}

/** A queue to be started: its areas by the front end's own addresses, and the eventfds of its kicks and interrupts. */
export interface VringSetup {
  readonly size: number;
  readonly base: number;
  readonly descriptor: number;
  readonly avail: number;
  readonly used: number;
  readonly kick: number;
  readonly call: number;
}

/** The front end of vhost-user: asks, and waits for the answers. Every call throws PeerError when the back end does not do its part. */
export class FrontEnd {
  readonly #libc: Libc;
  readonly #connection: Connection;
  readonly #polls: PollSet;
  readonly #patienceNs: () => number;
  #protocol = 0;
  #requests = -1;

  /**
   * @param socket connected to a back end; closed by `close`
   * @param patienceNs how long an answer is waited for; asked while it is
   */
  constructor(libc: Libc, socket: number, patienceNs: () => number = () => ANSWER_NS) {
    this.#libc = libc;
    this.#patienceNs = patienceNs;
    this.#connection = new Connection(new FdSocket(libc, socket, VHOST_HEADER + MAX_PAYLOAD), ANSWERS);
    this.#polls = new PollSet(libc, 1);
    this.#polls.set(0, socket);
  }

  /** @throws NativeError when nobody listens there */
  static connect(libc: Libc, path: string, patienceNs?: () => number): FrontEnd {
    const address = socketAddress(path);
    const socket = libc.socket();
    try {
      libc.connect(socket, address);
    } catch (error) {
      libc.close(socket);
      throw error;
    }
    return new FrontEnd(libc, socket, patienceNs);
  }

  /** The socket, to wait for its end. */
  get fd(): number {
    return this.#connection.fd;
  }

  features(): { lo: number; hi: number } {
    return this.#askPair(VhostUser.GET_FEATURES);
  }

  setFeatures(lo: number, hi: number): void {
    this.tell(VhostUser.SET_FEATURES, pair(lo >>> 0, hi >>> 0));
  }

  protocolFeatures(): number {
    return this.#askPair(VhostUser.GET_PROTOCOL_FEATURES).lo;
  }

  setProtocolFeatures(bits: number): void {
    this.tell(VhostUser.SET_PROTOCOL_FEATURES, pair(bits, 0));
    this.#protocol = bits;
  }

  /** Gives the back end a socket for requests of its own, which come at `requests` from then on. F_BACKEND_REQ was agreed on. */
  openRequests(): void {
    const { SET_BACKEND_REQ_FD } = VhostUser;
    const [ours, theirs] = this.#libc.socketpair();
    this.#requests = ours;
    const acknowledged = (this.#protocol & (1 << ProtocolFeature.REPLY_ACK)) !== 0;
    try {
      this.#connection.send(message(SET_BACKEND_REQ_FD, acknowledged ? VHOST_NEED_REPLY : 0, new Uint8Array(0)), [theirs]);
    } finally {
      this.#libc.close(theirs);
    }
    if (!acknowledged) return;
    const answer = this.answer(SET_BACKEND_REQ_FD);
    if (answer.byteLength !== 8 || readU64(answer, 0) !== 0) throw new PeerError('the back end refuses a socket for its requests');
  }

  /** Where the back end's own requests come, closed by `close`; −1: it has none. */
  get requests(): number {
    return this.#requests;
  }

  setMemTable(regions: readonly SharedRegion[]): void {
    this.tell(
      VhostUser.SET_MEM_TABLE,
      memTable(regions),
      regions.map(({ fd }) => fd),
    );
  }

  /** Configuration space from `offset` on. */
  config(offset: number, size: number): DataView {
    const ask = new Uint8Array(12 + size);
    const view = new DataView(ask.buffer);
    view.setUint32(0, offset, true);
    view.setUint32(4, size, true);
    const answer = this.ask(VhostUser.GET_CONFIG, ask);
    if (answer.byteLength !== 12 + size) throw new PeerError(`GET_CONFIG of ${size} bytes brings ${answer.byteLength}`);
    return new DataView(answer.buffer, 12);
  }

  setConfig(offset: number, bytes: Uint8Array): void {
    const payload = new Uint8Array(12 + bytes.length);
    const view = new DataView(payload.buffer);
    view.setUint32(0, offset, true);
    view.setUint32(4, bytes.length, true);
    payload.set(bytes, 12);
    this.tell(VhostUser.SET_CONFIG, payload);
  }

  startQueue(index: number, { size, base, descriptor, avail, used, kick, call }: VringSetup): void {
    this.tell(VhostUser.SET_VRING_NUM, pair(index, size));
    this.tell(VhostUser.SET_VRING_BASE, pair(index, base));
    const addresses = new Uint8Array(40);
    const view = new DataView(addresses.buffer);
    view.setUint32(0, index, true);
    writeU64(view, 8, descriptor);
    writeU64(view, 16, used);
    writeU64(view, 24, avail);
    this.tell(VhostUser.SET_VRING_ADDR, addresses);
    this.tell(VhostUser.SET_VRING_KICK, pair(index, 0), [kick]);
    this.tell(VhostUser.SET_VRING_CALL, pair(index, 0), [call]);
    this.tell(VhostUser.SET_VRING_ENABLE, pair(index, 1));
  }

  /** @returns where it stands */
  stopQueue(index: number): number {
    this.tell(VhostUser.SET_VRING_ENABLE, pair(index, 0));
    return this.ask(VhostUser.GET_VRING_BASE, pair(index, 0)).getUint32(4, true);
  }

  /** A message without an answer. */
  tell(request: number, payload: Uint8Array = new Uint8Array(0), fds: readonly number[] = []): void {
    this.#connection.send(message(request, 0, payload), fds);
  }

  /** A message and its answer's payload. */
  ask(request: number, payload: Uint8Array = new Uint8Array(0)): DataView {
    this.tell(request, payload);
    return this.answer(request);
  }

  /** Whether an answer, or the back end's end, is there to be taken. */
  get hasAnswer(): boolean {
    return this.#polls.wait(0) > 0;
  }

  /** The payload of the answer to a message that was told. */
  answer(request: number): DataView {
    for (let waited = 0; ; ) {
      const answer = this.#connection.receive();
      if (answer !== null) {
        if (answer.request !== request) throw new PeerError(`${nameOf(request)} is answered by ${nameOf(answer.request)}`);
        return answer.payload;
      }
      if (waited >= this.#patienceNs()) throw new PeerError(`the back end does not answer ${nameOf(request)}`);
      if (this.#polls.wait(LOOK_NS) === 0) waited += LOOK_NS;
    }
  }

  close(): void {
    this.#connection.close();
    if (this.#requests >= 0) this.#libc.close(this.#requests);
    this.#requests = -1;
  }

  #askPair(request: number): { lo: number; hi: number } {
    const answer = this.ask(request);
    if (answer.byteLength !== 8) throw new PeerError(`${nameOf(request)} is answered by ${answer.byteLength} bytes`);
    return { lo: answer.getUint32(0, true), hi: answer.getUint32(4, true) };
  }
}

const nameOf = (request: number): string => SHAPES.get(request)?.name ?? `message ${request}`;
