import type { ScanoutImage, Sink } from './sink.ts';

/** Does what another sink does: for those that do something more. */
export class ForwardingSink implements Sink {
  readonly releasedScanout: Int32Array;
  readonly releasedFrame: Int32Array;
  readonly releasedFlags: Int32Array;
  readonly presentedNs: Float64Array;
  readonly releasedNs: Float64Array;
  readonly vblank: Float64Array;
  protected readonly sink: Sink;

  constructor(sink: Sink) {
    this.sink = sink;
    this.releasedScanout = sink.releasedScanout;
    this.releasedFrame = sink.releasedFrame;
    this.releasedFlags = sink.releasedFlags;
    this.presentedNs = sink.presentedNs;
    this.releasedNs = sink.releasedNs;
    this.vblank = sink.vblank;
  }

  /** Of a sink with a thread of its own it changes by being looked at. */
  get deadline(): Float64Array {
    return this.sink.deadline;
  }

  setScanout(scanout: number, image: ScanoutImage | null): void {
    this.sink.setScanout(scanout, image);
  }

  present(scanout: number, frame: number, now: Float64Array): void {
    this.sink.present(scanout, frame, now);
  }

  pollReleases(now: Float64Array): number {
    return this.sink.pollReleases(now);
  }

  stop(resourceId: number): void {
    this.sink.stop(resourceId);
  }

  holds(resourceId: number): boolean {
    return this.sink.holds(resourceId);
  }
}
