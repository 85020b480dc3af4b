/** The encode thread: a worker's entry file. */
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { rendererOf } from '../../core/machine/renderer-of.ts';
import { type Clock, MonotonicClock, monotonicNowNs } from '../../core/measure/clock.ts';
import { Counter, Counters } from '../../core/measure/counters.ts';
import { Copier, copyKernels } from '../../core/memory/copier.ts';
import { Ledger } from '../../core/memory/ledger.ts';
import { Format } from '../../core/protocol/constants.ts';
import { AtomicsDoorbell, type Doorbell } from '../../core/ring/doorbell.ts';
import { DeviceRegisters } from '../../core/ring/registers.ts';
import { ONE_EVENT } from '../native/event-fd.ts';
import { Libc } from '../native/libc.ts';
import { EncodeLog } from './encode-log.ts';
import {
  type AloneReport,
  type AloneTask,
  type EncodeNews,
  type EncodeTask,
  type HostWake,
  PACKET_ROOM,
  type ServeTask,
  type StreamPacket,
} from './encode-task.ts';
import { FrameEncoder, type FrameEncoderParts } from './frame-encoder.ts';
import { openEncoder } from './hardware-encoder.ts';
import { type ImageNews, LinkWord } from './link.ts';
import { loadNodeAv, type NodeAv } from './node-av.ts';
import { Offers } from './offers.ts';
import { PacketFile } from './packet-file.ts';
import { Pictures } from './pictures.ts';

/** Of the encoder alone, before it is measured: its first frame is a key frame, and code is not compiled yet. */
const WARM_UP_FRAMES = 8;
/** XRGB8888. */
const BLACK = 0xff000000;

const tell = (news: EncodeNews): void => parentPort?.postMessage(news);

try {
  const task = workerData as EncodeTask;
  const av = loadNodeAv();
  if (typeof av === 'string') throw new Error(av);
  if (task.kind === 'alone') tell({ kind: 'alone', report: encodeAlone(av, task) });
  else serve(av, task);
} catch (error) {
  tell({ kind: 'failed', message: error instanceof Error ? error.message : String(error) });
}

/** Encodes until a stop is asked for. */
function serve(av: NodeAv, task: ServeTask): void {
  const offers = new Offers(task.share);
  const clock = new MonotonicClock(task.originNs);
  const bell = doorbell(new Int32Array(task.share.words), LinkWord.doorbell, clock);
  const pictures = new Pictures();
  const ledger = new Ledger(task.share.ledger);
  const output = task.output === null ? null : new PacketFile(task.output, () => offers.stopRequested);
  const wakeHost = wakeOf(task.wake, clock);
  const frames = new FrameEncoder({
    ...{ av, offers, pictures, clock, ledger, wakeHost, encoder: task.encoder },
    copier: new Copier(copyKernels()[0], ledger),
    log: new EncodeLog(task.share.log),
    take: takeOf(output, task.packets),
    fallBack: task.mayFallBack ? (text) => tell({ kind: 'note', text }) : null,
  });
  const intervalNs = task.maxRefreshHz === null ? 0 : 1e9 / task.maxRefreshHz;
  try {
    tell({ kind: 'ready' });
    while (!offers.stopRequested) {
      const sample = bell.sample();
      clock.read();
      const taken = offers.take(clock.slot);
      // Now: an image is announced before a frame of it is offered.
      hear(task, pictures);
      if (taken) {
        offers.spaceNext(intervalNs, clock.slot);
        frames.encodeTaken();
        continue;
      }
      if (offers.keysWanted) frames.encodeWanted();
      bell.deadline[0] = offers.due[0];
      bell.blockUntilDeadline(sample);
    }
  } finally {
    offers.end();
    wakeHost();
    frames.close();
    task.port.close();
    task.packets?.close();
    output?.close();
  }
}

/** Where packets go: into a file (those of head 0), to a port. */
function takeOf(output: PacketFile | null, port: MessagePort | null): FrameEncoderParts['take'] {
  if (output === null && port === null) return null;
  return (head, packet, frame, { isKey: key, width, height }) => {
    if (output !== null && head === 0) output.write(packet);
    if (port === null) return;
    const bytes = new Uint8Array(PACKET_ROOM + packet.length);
    bytes.set(packet, PACKET_ROOM);
    port.postMessage({ head, frame, key, width, height, bytes } satisfies StreamPacket, [bytes.buffer]);
  };
}

function hear({ port }: ServeTask, pictures: Pictures): void {
  for (let got = receiveMessageOnPort(port); got !== undefined; got = receiveMessageOnPort(port)) pictures.hear(got.message as ImageNews);
}

function doorbell(cells: Int32Array, index: number, clock: Clock): AtomicsDoorbell {
  const counters = new Counters(new SharedArrayBuffer(Counters.bytes));
  return new AtomicsDoorbell(cells, index, clock, counters, {
    rangCounter: Counter.wakeUps,
    suppressedCounter: Counter.wakeUpsSuppressed,
    spinNs: 0,
  });
}

function wakeOf(wake: HostWake, clock: Clock): () => void {
  if (wake.kind === 'doorbell') {
    const cells = new Int32Array(wake.control);
    const bell: Doorbell = doorbell(cells, new DeviceRegisters(cells).hostDoorbell, clock);
    return () => bell.ring();
  }
  const libc = Libc.load();
  if (typeof libc === 'string') throw new Error(libc);
  return () => void libc.write(wake.fd, ONE_EVENT);
}

/** How many frames of one still picture, the machine's first, this encoder makes in a time. */
function encodeAlone(av: NodeAv, { options, forMs, pictures }: AloneTask): AloneReport {
  const encoder = openEncoder(av, options.encoder, options.width, options.height, Format.B8G8R8X8);
  const { width, height } = encoder;
  const { list, slices } = encoder.scratch();
  // Memory that was never written is one page of zeros, which lies in the nearest cache.
  list.region[0].u32.fill(BLACK);
  rendererOf(options, new MonotonicClock(monotonicNowNs()), pictures).render({ pages: list, width, height, stride: width * 4 }, 0);
  const encodeOne = (): void => {
    for (let i = 0; i < slices.rows.length; i++) encoder.convert(slices, i);
    encoder.encode(null);
  };
  for (let i = 0; i < WARM_UP_FRAMES; i++) encodeOne();
  const start = monotonicNowNs();
  let frames = 0;
  let ns = 0;
  while (ns < forMs * 1e6) {
    encodeOne();
    frames++;
    ns = monotonicNowNs() - start;
  }
  encoder.close();
  return { frames, ns };
}
