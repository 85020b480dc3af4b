/** Signals an eventfd once, or takes its signals back, and says so: a worker's entry file. */
import { parentPort, workerData } from 'node:worker_threads';
import { EventSignals } from '../../workers/native/event-fd.ts';
import { Libc } from '../../workers/native/libc.ts';

const { fd, watched, call } = workerData as { fd: number; watched: SharedArrayBuffer; call: 'signal' | 'take' };
const libc = Libc.load();
if (typeof libc === 'string') throw new Error(libc);
new EventSignals(libc, watched)[call](fd);
parentPort?.postMessage('done');
