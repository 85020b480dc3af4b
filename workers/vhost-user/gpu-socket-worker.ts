/** The thread of the display at a GPU socket: a worker's entry file. The guest's own thread blocks, and this socket must always be read. */
import { parentPort, workerData } from 'node:worker_threads';
import { Libc } from '../native/libc.ts';
import { PollSet } from '../native/poll.ts';
import { GpuDisplay, type GpuDisplayTask, type GpuStream } from './gpu-socket.ts';
import { PeerError } from './peer-error.ts';

export interface GpuSocketTask extends GpuDisplayTask {
  readonly socket: number;
  /** Readable when the thread is to end. */
  readonly stopFd: number;
}

const SOCKET = 0;
const STOP = 1;
const NEVER_NS = 3600e9;

function streamOf(libc: Libc, { socket, stopFd }: GpuSocketTask): GpuStream {
  const polls = new PollSet(libc, 2);
  polls.set(SOCKET, socket);
  polls.set(STOP, stopFd);
  return {
    read(into) {
      for (let filled = 0; filled < into.length; ) {
        if (polls.wait(NEVER_NS) === 0) continue;
        if (!polls.isReady(SOCKET)) return false;
        const got = libc.read(socket, into.subarray(filled));
        if (got <= 0) return false;
        filled += got;
      }
      return true;
    },
    write: (bytes) => {
      if (libc.write(socket, bytes) !== bytes.length) throw new PeerError('GPU socket: an answer is not taken');
    },
  };
}

/** Why it ended; null: the back end is gone, or a stop was asked for. */
function serve(task: GpuSocketTask): string | null {
  const libc = Libc.load();
  if (typeof libc === 'string') return libc;
  try {
    new GpuDisplay(streamOf(libc, task), task).run();
    return null;
  } catch (error) {
    if (error instanceof PeerError) return error.message;
    throw error;
  }
}

parentPort?.postMessage(serve(workerData as GpuSocketTask));
