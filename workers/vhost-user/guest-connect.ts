import { MAX_SCANOUTS } from '../../core/protocol/constants.ts';
import { GPU_CONFIG_BYTES, GpuConfig, PROTOCOL_FEATURES_BIT, ProtocolFeature, VhostUser } from '../../core/protocol/vhost-user.ts';
import { type Libc, NativeError } from '../native/libc.ts';
import { FrontEnd } from './front-end.ts';
import { PeerError } from './peer-error.ts';

/** VHOST_F_LOG_ALL: offered by everything that is built on QEMU's libvhost-user, whatever the device. */
const LOG_ALL_BIT = 26;
/** What is agreed on where it is offered. */
const WANTED =
  (1 << ProtocolFeature.CONFIG) | (1 << ProtocolFeature.MQ) | (1 << ProtocolFeature.REPLY_ACK) | (1 << ProtocolFeature.BACKEND_REQ);
/** Until the first answer; a back end that has given it answers the rest at once. */
const FIRST_ANSWER_MS = 10_000;
const ANSWER_NS = 1e9;
const LOOK_MS = 5;

/** A back end that is connected, and what it says of itself. */
export interface BackEndOffer {
  readonly front: FrontEnd;
  /** Feature bits 0–31 and 32–63, vhost-user's own among them. */
  readonly lo: number;
  readonly hi: number;
  /** 0: the front end says how many, as QEMU does for vhost-user-gpu. */
  readonly numScanouts: number;
  readonly numCapsets: number;
  /**
   * Built on QEMU's libvhost-user, as vhost-user-gpu is, which answers no display info before it has a GPU socket. No
   * protocol feature says that one is wanted, and a back end that knows no GPU_SET_SOCKET ends the session.
   */
  readonly isQemu: boolean;
}

/**
 * Connects to a back end and agrees on the protocol. Blocks for moments only.
 * @throws PeerError when nobody listens there, the back end does not answer or has no configuration space, or `signal` aborts
 */
export async function connectBackEnd(libc: Libc, path: string, signal: AbortSignal): Promise<BackEndOffer> {
  const front = connect(libc, path);
  try {
    front.tell(VhostUser.GET_FEATURES);
    const until = performance.now() + FIRST_ANSWER_MS;
    while (!front.hasAnswer) {
      if (signal.aborted) throw new PeerError('stopped');
      if (performance.now() > until) throw new PeerError(`${path} does not answer; does it serve another front end?`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    const answer = front.answer(VhostUser.GET_FEATURES);
    if (answer.byteLength !== 8) throw new PeerError(`GET_FEATURES is answered by ${answer.byteLength} bytes`);
    return greet(front, answer.getUint32(0, true), answer.getUint32(4, true));
  } catch (error) {
    front.close();
    throw error;
  }
}

function connect(libc: Libc, path: string): FrontEnd {
  try {
    return FrontEnd.connect(libc, path, () => ANSWER_NS);
  } catch (error) {
    if (error instanceof NativeError) throw new PeerError(`no back end at ${path}: ${WHY[error.code] ?? error.message}`);
    throw error;
  }
}

const WHY: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such socket',
  ECONNREFUSED: 'nobody listens there any more, or it is no socket',
  EAGAIN: 'others wait there already',
  EACCES: 'it may not be used (EACCES)',
};

function greet(front: FrontEnd, lo: number, hi: number): BackEndOffer {
  if (((lo >>> PROTOCOL_FEATURES_BIT) & 1) === 0) throw new PeerError('the back end has no protocol features, so no configuration space');
  const protocol = front.protocolFeatures();
  if ((protocol & (1 << ProtocolFeature.CONFIG)) === 0) throw new PeerError('the back end has no configuration space (F_CONFIG)');
  front.setProtocolFeatures(protocol & WANTED);
  front.tell(VhostUser.SET_OWNER);
  if ((protocol & (1 << ProtocolFeature.BACKEND_REQ)) !== 0) front.openRequests();
  const config = front.config(0, GPU_CONFIG_BYTES);
  const numScanouts = config.getUint32(GpuConfig.numScanouts, true);
  if (numScanouts > MAX_SCANOUTS) throw new PeerError(`the back end has ${numScanouts} scanouts; ${MAX_SCANOUTS} are the most`);
  return { front, lo, hi, numScanouts, numCapsets: config.getUint32(GpuConfig.numCapsets, true), isQemu: ((lo >>> LOG_ALL_BIT) & 1) === 1 };
}
