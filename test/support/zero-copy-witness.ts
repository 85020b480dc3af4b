/**
 * A witness of zero copies that trusts neither ledger, copier nor any flag: it pokes the buffers that the guest's GPU draws
 * into and looks through the sink's image whether the change is there. Only memory that is the same shows it.
 */
import type { GuestMachine } from '../../core/machine/guest-machine.ts';
import { Random } from '../../core/memory/random.ts';
import type { SegmentList } from '../../core/memory/segments.ts';
import type { ScanoutImage, Sink } from '../../core/sink/sink.ts';

/** Words poked a frame. */
const PROBES = 16;

export class ZeroCopyWitness {
  /** Frames whose image was the GPU's own buffer in every probed word … */
  own = 0;
  /** … and those whose image was other memory: a copy was made somewhere on the way. */
  copied = 0;
  /** Whose buffers are poked; set once the machine exists. */
  guest: GuestMachine | null = null;
  readonly #random = new Random(1);
  readonly #shown = new Map<number, ScanoutImage | null>();

  /** The sink with a look at each frame that is presented to it. For one thread only: it writes to live frames and restores them. */
  watch(sink: Sink): Sink {
    const watched = Object.create(sink) as Sink;
    watched.setScanout = (scanout, image) => {
      this.#shown.set(scanout, image);
      sink.setScanout(scanout, image);
    };
    watched.present = (scanout, frame, nowNs) => {
      this.#look(this.#shown.get(scanout) ?? null, scanout);
      sink.present(scanout, frame, nowNs);
    };
    // The rest runs on the sink itself: its private fields are not on the wrapper.
    watched.pollReleases = (nowNs) => sink.pollReleases(nowNs);
    watched.stop = (resourceId) => sink.stop(resourceId);
    watched.holds = (resourceId) => sink.holds(resourceId);
    return watched;
  }

  #look(image: ScanoutImage | null, head: number): void {
    if (image === null || this.guest === null) return;
    const targets = this.guest.heads[head].surfaces.map(({ target }) => target.pages);
    let same = true;
    for (let i = 0; i < PROBES && same; i++) {
      const at = this.#random.below((image.stride * image.height) / 4) * 4;
      same = targets.some((pages) => shows(image, pages, at));
    }
    if (same) this.own++;
    else this.copied++;
  }
}

/** Whether a change of the word at byte `at` of `pages` is seen in the image. */
function shows(image: ScanoutImage, pages: SegmentList, at: number): boolean {
  const [view, word] = place(pages, at);
  const [seen, seenWord] = place(image.segments, image.offset + at);
  const before = view[word];
  const found = seen[seenWord];
  view[word] = ~found;
  const same = seen[seenWord] === ~found >>> 0;
  view[word] = before;
  return same;
}

function place(list: SegmentList, at: number): [Uint32Array, number] {
  const i = list.find(at);
  return [list.region[i].u32, (list.offset[i] + at - list.start[i]) / 4];
}

/** Whether "no copy was made" holds: nothing in the ledgers, and the witness saw the GPU's own memory in every frame. */
export function provesZeroCopies(ledgerBytes: number, witness: ZeroCopyWitness): { ok: boolean; why: string } {
  if (ledgerBytes !== 0) return { ok: false, why: `${ledgerBytes} bytes in the ledger` };
  if (witness.copied > 0) return { ok: false, why: `${witness.copied} frames came from other memory than the GPU drew into` };
  if (witness.own === 0) return { ok: false, why: 'no frame was looked at' };
  return { ok: true, why: `${witness.own} frames in the GPU's own memory` };
}
