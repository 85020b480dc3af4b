import { ScanoutTimer } from './timer.ts';

/**
 * A display engine: it reads the buffer by itself, so the CPU touches no pixel. It latches at its vblank, reads
 * for `scanoutNs`, then releases the frame.
 */
export class LatchSink extends ScanoutTimer {}
