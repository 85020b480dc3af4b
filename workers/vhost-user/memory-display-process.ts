/**
 * The process of a display that looks at frames in the guest's memory. Its GPU socket is descriptor 3. An empty line on stdout says that it
 * is there, the line after it, at the end, what it saw.
 */
import { Libc } from '../native/libc.ts';
import { MemoryDisplay, type MemoryDisplayOptions } from './memory-display.ts';
import { PeerError } from './peer-error.ts';

/** What the process prints. */
export interface MemoryDisplayReport {
  /** What the back end did against the protocol; null: nothing. */
  readonly fault: string | null;
  readonly counts: readonly number[];
  /** MemoryDisplay's `times`, as they lie in memory, base64. */
  readonly times: string;
}

const SOCKET = 3;
const libc = Libc.load();
if (typeof libc === 'string') throw new Error(libc);
const display = new MemoryDisplay(libc, SOCKET, JSON.parse(process.argv[2] ?? '') as MemoryDisplayOptions);
process.stdout.write('\n');
let fault: string | null = null;
try {
  display.run();
} catch (error) {
  if (!(error instanceof PeerError)) throw error;
  fault = error.message;
}
const { counts, times } = display;
const report: MemoryDisplayReport = {
  fault,
  counts: [...counts],
  times: Buffer.from(times.buffer, times.byteOffset, times.byteLength).toString('base64'),
};
process.stdout.write(JSON.stringify(report));
