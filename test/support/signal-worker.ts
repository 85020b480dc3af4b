/** Signals an eventfd once and says so: a worker's entry file. */
import { parentPort, workerData } from 'node:worker_threads';
import { EventSignals } from '../../workers/native/event-fd.ts';
import { Libc } from '../../workers/native/libc.ts';

const { fd, watched } = workerData as { fd: number; watched: SharedArrayBuffer };
const libc = Libc.load();
if (typeof libc === 'string') throw new Error(libc);
new EventSignals(libc, watched).signal(fd);
parentPort?.postMessage('signalled');
