import { FrameFlag } from '../../core/measure/frame-log.ts';
import { formatBytesPerPixel } from '../../core/protocol/constants.ts';
import type { Doorbell } from '../../core/ring/doorbell.ts';
import type { ScanoutImage, Sink } from '../../core/sink/sink.ts';
import { MOST_PIXELS } from './encoder.ts';
import {
  type EncodeShare,
  type ImageNews,
  LinkWord,
  MOST_IMAGES,
  offeredWord,
  RECORDS,
  RecordState,
  RecordTime,
  RecordWord,
  recordAt,
  shownWord,
  timesAt,
} from './link.ts';

/** Releases that one `pollReleases` reports. */
const RELEASES = 64;
/** Numbers that stand for a frame that is lost. */
const LOST = 3;
const ANSWERED = Number.NEGATIVE_INFINITY;
/** What cannot be encoded: an image that reaches past its buffer, or of no known format. */
const UNREADABLE = -1;
const LEAST_SIDE = 16;
const MOST_SIDE = 8192;
/** A stop waits for the slice that is being read; then in steps of 1 ms, so many at most. */
const STOP_STEPS = 2000;
/** After so long a frame that the encoder has not begun is answered, ns. */
const GRACE_NS = 1e6;

export interface EncodeSinkOptions {
  readonly share: EncodeShare;
  /** The encode thread's. */
  readonly bell: Pick<Doorbell, 'ring'>;
  readonly post: (news: ImageNews) => void;
  /** True: every frame is encoded, and the guest waits for it. False: the latest of each head; those before it are superseded. */
  readonly everyFrame: boolean;
}

/**
 * The host's side of an encoder on a thread of its own. Frames are offered through shared memory; one that was not taken yet gives
 * way to the next (latest frame wins). A frame is released when the encode thread has read it, before its packet is out. One that
 * it does not begin, because it is busy or the next frame is not due, is answered all the same, or the encoder would set the
 * guest's pace: where the guest flips between imported buffers it leaves the one alone that the scanout shows, and the next flip
 * is not answered while that one is read. Nothing waits but `stop`, for the slice of the picture that is being read: after it
 * returns its buffer may go.
 */
export class EncodeSink implements Sink {
  readonly releasedScanout = new Int32Array(RELEASES);
  readonly releasedFrame = new Int32Array(RELEASES);
  readonly releasedFlags = new Int32Array(RELEASES);
  readonly presentedNs = new Float64Array(RELEASES);
  readonly releasedNs = new Float64Array(RELEASES);
  readonly vblank = new Float64Array(RELEASES);
  readonly #deadline = new Float64Array(1).fill(Number.POSITIVE_INFINITY);
  readonly #heads: number;
  readonly #words: Int32Array;
  readonly #times: Float64Array;
  readonly #bell: Pick<Doorbell, 'ring'>;
  readonly #post: (news: ImageNews) => void;
  readonly #everyFrame: boolean;
  /** By head. */
  readonly #current: (ScanoutImage | null)[];
  /** By head: the resource that was presented last; 0: none. */
  readonly #last: Int32Array;
  /** By head: records ever used, and of these the oldest that may not be free. */
  readonly #offered: Int32Array;
  readonly #oldest: Int32Array;
  /** By head and slot. */
  readonly #resource: Int32Array;
  /** By head and slot: when it is answered though it is not read, ns; Infinity: not before it is; ANSWERED: it was. */
  readonly #answerAt: Float64Array;
  /** Announced images, the oldest announcement in front. */
  readonly #images = new Map<ScanoutImage, number>();
  #nextImage = 1;
  /** Frames that are released without having been read, each head, frame and resource, from `#lostFirst` on. */
  readonly #lost: number[] = [];
  #lostFirst = 0;
  #seen = 0;

  constructor({ share, bell, post, everyFrame }: EncodeSinkOptions) {
    this.#heads = share.heads;
    this.#words = new Int32Array(share.words);
    this.#times = new Float64Array(share.times);
    this.#bell = bell;
    this.#post = post;
    this.#everyFrame = everyFrame;
    this.#current = new Array<ScanoutImage | null>(share.heads).fill(null);
    this.#offered = new Int32Array(share.heads);
    this.#oldest = new Int32Array(share.heads);
    this.#resource = new Int32Array(share.heads * RECORDS);
    this.#answerAt = new Float64Array(share.heads * RECORDS);
    this.#last = new Int32Array(share.heads);
  }

  /** 0 as soon as the encode thread is done with a frame: looks at its counter. */
  get deadline(): Float64Array {
    const words = this.#words;
    if (Atomics.load(words, LinkWord.done) !== this.#seen || Atomics.load(words, LinkWord.ended) !== 0) this.#deadline[0] = 0;
    return this.#deadline;
  }

  setScanout(scanout: number, image: ScanoutImage | null): void {
    this.#current[scanout] = image;
    Atomics.store(this.#words, shownWord(scanout), image === null ? 0 : 1);
    if (image === null) this.#withdraw(scanout, null);
    else this.#idOf(image);
  }

  present(scanout: number, frame: number, now: Float64Array): void {
    const image = this.#current[scanout];
    const flips = !this.#everyFrame && image !== null && image.imported && this.#flipsTo(scanout, image.resourceId);
    this.#last[scanout] = image?.resourceId ?? 0;
    if (!this.#everyFrame) this.#withdraw(scanout, null);
    const id = image === null ? UNREADABLE : this.#idOf(image);
    const words = this.#words;
    const slot = this.#offered[scanout] & (RECORDS - 1);
    const at = recordAt(scanout, slot);
    if (image === null || id === UNREADABLE || Atomics.load(words, at) !== RecordState.free || Atomics.load(words, LinkWord.ended) !== 0) {
      this.#lose(scanout, frame, image?.resourceId ?? 0);
      return;
    }
    this.#resource[scanout * RECORDS + slot] = image.resourceId;
    this.#answerAt[scanout * RECORDS + slot] = flips ? now[0] + GRACE_NS : Number.POSITIVE_INFINITY;
    if (flips && now[0] + GRACE_NS < this.#deadline[0]) this.#deadline[0] = now[0] + GRACE_NS;
    // RACE: the encode thread reads these after it has taken the record; ordered by the state's store.
    words[at + RecordWord.frame] = frame;
    words[at + RecordWord.image] = id;
    words[at + RecordWord.abort] = 0;
    words[at + RecordWord.read] = 0;
    this.#offered[scanout] = (this.#offered[scanout] + 1) | 0;
    Atomics.store(words, at, RecordState.offered);
    Atomics.store(words, offeredWord(scanout), this.#offered[scanout]);
    this.#bell.ring();
  }

  pollReleases(now: Float64Array): number {
    const words = this.#words;
    this.#deadline[0] = Number.POSITIVE_INFINITY;
    this.#seen = Atomics.load(words, LinkWord.done);
    const ended = Atomics.load(words, LinkWord.ended) !== 0;
    let count = 0;
    while (this.#lostFirst < this.#lost.length && count < RELEASES) {
      this.#report(count++, this.#lost[this.#lostFirst], this.#lost[this.#lostFirst + 1], FrameFlag.superseded, 0, now[0]);
      this.#lostFirst += LOST;
    }
    if (this.#lostFirst === this.#lost.length) {
      this.#lost.length = 0;
      this.#lostFirst = 0;
    }
    for (let head = 0; head < this.#heads; head++) {
      let reading = false;
      for (let i = this.#oldest[head]; i !== this.#offered[head] && count < RELEASES; i = (i + 1) | 0) {
        const slot = i & (RECORDS - 1);
        const at = recordAt(head, slot);
        const one = head * RECORDS + slot;
        const state = Atomics.load(words, at);
        if (state === RecordState.done || (ended && state !== RecordState.free)) {
          if (this.#answerAt[one] !== ANSWERED) this.#reportEnd(count++, head, slot, state === RecordState.done, now);
          Atomics.store(words, at, RecordState.free);
        } else if (state === RecordState.offered && !reading && this.#answerAt[one] !== ANSWERED) {
          if (this.#answerAt[one] <= now[0]) {
            this.#report(count++, head, words[at + RecordWord.frame], 0, now[0], now[0]);
            this.#answerAt[one] = ANSWERED;
          } else if (this.#answerAt[one] < this.#deadline[0]) this.#deadline[0] = this.#answerAt[one];
        } else if (state === RecordState.taken) reading = true;
        if (i === this.#oldest[head] && Atomics.load(words, at) === RecordState.free) this.#oldest[head] = (i + 1) | 0;
      }
    }
    if (count === RELEASES || this.#lost.length > 0) this.#deadline[0] = 0;
    return count;
  }

  stop(resourceId: number): void {
    const words = this.#words;
    for (let head = 0; head < this.#heads; head++) {
      if (this.#current[head]?.resourceId === resourceId) this.#current[head] = null;
      this.#withdraw(head, resourceId);
      for (let i = this.#oldest[head]; i !== this.#offered[head]; i = (i + 1) | 0) {
        const slot = i & (RECORDS - 1);
        const at = recordAt(head, slot);
        if (this.#resource[head * RECORDS + slot] !== resourceId || Atomics.load(words, at) !== RecordState.taken) continue;
        Atomics.store(words, at + RecordWord.abort, 1);
        for (let step = 0; step < STOP_STEPS && Atomics.load(words, at) === RecordState.taken; step++) {
          if (Atomics.load(words, LinkWord.ended) !== 0) break;
          Atomics.wait(words, at, RecordState.taken, 1);
        }
      }
    }
    for (const [image, id] of this.#images) {
      if (image.resourceId !== resourceId) continue;
      this.#images.delete(image);
      if (id !== UNREADABLE) this.#post({ kind: 'gone', id });
    }
    // The next `pollReleases` has them.
    this.#deadline[0] = 0;
  }

  holds(resourceId: number): boolean {
    for (let i = this.#lostFirst; i < this.#lost.length; i += LOST) if (this.#lost[i + 2] === resourceId) return true;
    for (let head = 0; head < this.#heads; head++) {
      for (let i = this.#oldest[head]; i !== this.#offered[head]; i = (i + 1) | 0) {
        const slot = i & (RECORDS - 1);
        if (this.#resource[head * RECORDS + slot] !== resourceId) continue;
        if (Atomics.load(this.#words, recordAt(head, slot)) !== RecordState.free) return true;
      }
    }
    return false;
  }

  /** Takes back the head's frames that were offered and not taken; of one resource only, unless it is null. */
  #withdraw(head: number, resourceId: number | null): void {
    const words = this.#words;
    for (let i = this.#oldest[head]; i !== this.#offered[head]; i = (i + 1) | 0) {
      const slot = i & (RECORDS - 1);
      if (resourceId !== null && this.#resource[head * RECORDS + slot] !== resourceId) continue;
      const at = recordAt(head, slot);
      if (Atomics.compareExchange(words, at, RecordState.offered, RecordState.free) !== RecordState.offered) continue;
      const one = head * RECORDS + slot;
      if (this.#answerAt[one] !== ANSWERED) this.#lose(head, words[at + RecordWord.frame], this.#resource[one]);
    }
  }

  /** A frame that the encode thread holds no more. */
  #reportEnd(place: number, head: number, slot: number, done: boolean, now: Float64Array): void {
    const at = recordAt(head, slot);
    const times = timesAt(head, slot);
    const frame = this.#words[at + RecordWord.frame];
    if (done && this.#words[at + RecordWord.read] === 1)
      this.#report(place, head, frame, 0, this.#times[times + RecordTime.taken], this.#times[times + RecordTime.released]);
    else this.#report(place, head, frame, FrameFlag.superseded, 0, now[0]);
  }

  #report(place: number, head: number, frame: number, flags: number, presentedNs: number, releasedNs: number): void {
    this.releasedScanout[place] = head;
    this.releasedFrame[place] = frame;
    this.releasedFlags[place] = flags;
    this.presentedNs[place] = presentedNs;
    this.releasedNs[place] = releasedNs;
  }

  /** Whether another buffer comes onto the scanout: one that was moved, or of which another part is shown, is the same one. */
  #flipsTo(scanout: number, resourceId: number): boolean {
    return this.#last[scanout] !== 0 && this.#last[scanout] !== (resourceId | 0);
  }

  #lose(head: number, frame: number, resourceId: number): void {
    this.#lost.push(head, frame, resourceId);
    this.#deadline[0] = 0;
  }

  #idOf(image: ScanoutImage): number {
    const known = this.#images.get(image);
    if (known !== undefined) return known;
    if (this.#images.size === MOST_IMAGES) {
      for (const [oldest, id] of this.#images) {
        this.#images.delete(oldest);
        if (id !== UNREADABLE) this.#post({ kind: 'gone', id });
        break;
      }
    }
    const id = isReadable(image) ? this.#nextImage++ : UNREADABLE;
    this.#images.set(image, id);
    if (id === UNREADABLE) return id;
    this.#post(newsOf(image, id));
    this.#bell.ring();
    return id;
  }
}

function isReadable({ width, height, stride, offset, format, segments }: ScanoutImage): boolean {
  if (formatBytesPerPixel(format) !== 4 || width < LEAST_SIDE || height < LEAST_SIDE) return false;
  if (width > MOST_SIDE || height > MOST_SIDE || width * height > MOST_PIXELS) return false;
  return offset + (height - 1) * stride + width * 4 <= segments.length;
}

function newsOf({ width, height, stride, offset, format, segments }: ScanoutImage, id: number): ImageNews {
  const pieces = Array.from({ length: segments.count }, (_, i) => ({
    memory: segments.region[i].memory,
    offset: segments.offset[i],
    bytes: segments.bytes[i],
  }));
  return { kind: 'image', id, width, height, stride, offset, format, segments: pieces };
}
