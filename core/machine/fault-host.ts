import type { Doorbell } from '../ring/doorbell.ts';
import { ForwardingSink } from '../sink/forwarding.ts';
import type { ScanoutImage, Sink } from '../sink/sink.ts';
import { faultyDoorbell } from './fault-guest.ts';
import { type FaultHooks, SideFaults, type Trigger } from './fault-trigger.ts';
import type { Fault } from './faults.ts';
import type { MachineOptions } from './options.ts';

/** How long a slow sink stands still, ns: four times what the guest waits for a fence. */
export const STALL_NS = 200e6;
/** The image that `host-no-memory` asks for: of a size that no other has. */
export const REFUSED_SIDE = 36;
const REFUSED_BYTES = 2 * 4096;

/** The faults that happen on the host's side: the parts of a host with faults built in. */
export class HostFaults extends SideFaults {
  /** The doorbell that wakes the guest. */
  guestDoorbell(doorbell: Doorbell): Doorbell {
    const faulty = faultyDoorbell(doorbell, this.trigger('lost-interrupt'), this.trigger('doubled-interrupt'));
    const dies = this.trigger('host-dies-after-answer');
    if (!dies.planned) return faulty;
    return {
      sample: () => faulty.sample(),
      ring: () => {
        if (dies.fires()) this.hooks.end('host', 'terminate');
        faulty.ring();
      },
      sleep: (expected, deadlineNs) => faulty.sleep(expected, deadlineNs),
    };
  }

  sink(sink: Sink, options: MachineOptions): Sink {
    return new FaultySink(sink, this, this.hooks, options.rateHz !== null);
  }
}

/** Says which allocations of images are refused: the first one of each fault `host-no-memory`. */
export function refusedImages(faults: readonly Fault[]): (bytes: number) => boolean {
  let left = faults.filter(({ name }) => name === 'host-no-memory').length;
  return (bytes) => {
    if (left === 0 || Math.ceil(bytes / 4096) * 4096 !== REFUSED_BYTES) return false;
    left--;
    return true;
  };
}

/** A sink whose thread ends at a stage of a frame, or whose time stands still: then it goes on reading what it shows. */
class FaultySink extends ForwardingSink {
  readonly #deadline = new Float64Array(1).fill(Number.POSITIVE_INFINITY);
  readonly #hooks: FaultHooks;
  readonly #paced: boolean;
  readonly #exits: Trigger;
  readonly #fills: Trigger;
  readonly #holding: Trigger;
  readonly #scanning: Trigger;
  readonly #guestScanning: Trigger;
  readonly #beforeAnswer: Trigger;
  readonly #slow: Trigger;
  readonly #never: Trigger;
  /** The time that the sink is told; until when it stands still (−1: it does not). */
  readonly #now = new Float64Array(1);
  readonly #stallUntil = new Float64Array(1).fill(-1);
  /** Which resource each scanout shows; that of the frame which is never given back. */
  readonly #shown: number[] = [];
  #stuck = 0;
  /** A frame was presented and waits for its vblank; what happens once it is shown. */
  #presented = -1;

  constructor(sink: Sink, faults: HostFaults, hooks: FaultHooks, paced: boolean) {
    super(sink);
    this.#hooks = hooks;
    this.#paced = paced;
    this.#exits = faults.trigger('host-exits');
    this.#fills = faults.trigger('host-out-of-memory');
    this.#holding = faults.trigger('host-dies-holding');
    this.#scanning = faults.trigger('host-dies-scanning');
    this.#guestScanning = faults.trigger('guest-dies-scanning');
    this.#beforeAnswer = faults.trigger('host-dies-before-answer');
    this.#slow = faults.trigger('slow-sink');
    this.#never = faults.trigger('fence-never');
  }

  override get deadline(): Float64Array {
    return this.#deadline;
  }

  override setScanout(scanout: number, image: ScanoutImage | null): void {
    this.#shown[scanout] = image === null ? 0 : image.resourceId;
    this.sink.setScanout(scanout, image);
    this.#schedule();
  }

  override present(scanout: number, frame: number, now: Float64Array): void {
    if (this.#holding.fires()) this.#hooks.end('host', 'terminate');
    if (this.#exits.fires()) this.#hooks.end('host', 'exit');
    if (this.#fills.fires()) this.#hooks.end('host', 'out of memory');
    this.#tell(now);
    this.sink.present(scanout, frame, this.#now);
    this.#presented = scanout;
    // A paced frame is shown at its vblank, any other at once.
    if (!this.#paced) this.#onShown(now);
    this.#schedule();
  }

  override pollReleases(now: Float64Array): number {
    this.#tell(now);
    const released = this.sink.pollReleases(this.#now);
    if (released > 0) {
      if (this.#beforeAnswer.fires()) this.#hooks.end('host', 'terminate');
    } else if (this.#presented >= 0) {
      this.#onShown(now);
    }
    this.#schedule();
    return released;
  }

  override stop(resourceId: number): void {
    this.sink.stop(resourceId);
    if (resourceId === this.#stuck) this.#resume();
    this.#schedule();
  }

  #onShown(now: Float64Array): void {
    const scanout = this.#presented;
    this.#presented = -1;
    if (this.#scanning.fires()) this.#hooks.end('host', 'terminate');
    if (this.#guestScanning.fires()) this.#hooks.end('guest', 'terminate');
    if (this.#slow.fires()) {
      this.#stand(now);
      this.#stallUntil[0] = now[0] + STALL_NS;
    }
    if (this.#never.fires()) {
      this.#stand(now);
      this.#stallUntil[0] = Number.POSITIVE_INFINITY;
      this.#stuck = this.#shown[scanout] ?? 0;
    }
  }

  /** The sink's time stands, just before the last read of what it has begun to show. */
  #stand(now: Float64Array): void {
    this.#now[0] = now[0] - 1;
  }

  #resume(): void {
    this.#stallUntil[0] = -1;
    this.#stuck = 0;
  }

  #tell(now: Float64Array): void {
    if (now[0] < this.#stallUntil[0]) return;
    if (this.#stallUntil[0] >= 0) this.#resume();
    this.#now[0] = now[0];
  }

  #schedule(): void {
    this.#deadline[0] = this.sink.deadline[0];
    // What `stop` has ended may leave at once; the rest waits until the sink's time goes on.
    if (this.#stallUntil[0] >= 0 && this.#deadline[0] > this.#now[0]) this.#deadline[0] = this.#stallUntil[0];
  }
}
