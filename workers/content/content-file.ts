import { statSync } from 'node:fs';
import type { NodeAv } from '../encode/node-av.ts';

/** Pixels of a side at most, as for a head. */
export const MOST_SIDE = 8192;
/** From one picture to the next at most, ns: a longer gap is a fault of the file. */
const MOST_GAP_NS = 60e9;
/** Of files that do not say how long a picture is to be seen, ns. */
const USUAL_NS = 40e6;
/**
 * What may hold pictures. Formats that name other files, or addresses, are not among them (HLS, DASH, concat, numbered pictures): a file
 * that somebody was given opens nothing else.
 */
const FORMATS = [
  ...['mov', 'mp4', 'm4a', '3gp', '3g2', 'mj2', 'matroska', 'webm', 'avi', 'mpegts', 'mpeg', 'mpegvideo', 'ogg', 'flv', 'asf', 'ivf'],
  ...['h264', 'hevc', 'av1', 'obu', 'm4v', 'mjpeg', 'yuv4mpegpipe', 'gif', 'apng', 'nut', 'mxf'],
  ...['png_pipe', 'jpeg_pipe', 'webp_pipe', 'bmp_pipe', 'tiff_pipe', 'ppm_pipe', 'pgm_pipe', 'pam_pipe', 'qoi_pipe', 'jpegxl_pipe'],
].join(',');

type Lib<T extends keyof NodeAv> = InstanceType<Extract<NodeAv[T], new () => unknown>>;

/** The pictures of a file from its beginning to its end, as FFmpeg decodes them. */
export class ContentFile {
  /** As FFmpeg names it. */
  readonly codec: string;
  /** The picture that the last `step` has decoded; valid until the next. */
  readonly frame: Lib<'Frame'>;
  /** Of that picture, ns since the first one; never less than of the one before. */
  atNs = 0;
  /** Pictures so far. */
  pictures = 0;
  /** What could not be decoded first; null: everything could so far. */
  damage: string | null = null;
  readonly #av: NodeAv;
  readonly #input: Lib<'FormatContext'>;
  readonly #io: Lib<'IOContext'>;
  readonly #decoder: Lib<'CodecContext'>;
  readonly #packet: Lib<'Packet'>;
  readonly #stream: number;
  /** ns of a unit of the stream's time. */
  readonly #unitNs: number;
  readonly #usualNs: number;
  readonly #pixelAspect: number;
  #pts: bigint | null = null;
  /** How long the last picture is to be seen. */
  #lastNs: number;
  #isAtEnd = false;

  /** @throws Error what is wrong with the file, a line without its name */
  constructor(av: NodeAv, file: string) {
    this.#av = av;
    this.#io = new av.IOContext();
    this.#input = new av.FormatContext();
    this.#packet = new av.Packet();
    this.frame = new av.Frame();
    this.#decoder = new av.CodecContext();
    try {
      this.#open(file);
      this.#stream = this.#input.findBestStream(av.AVMEDIA_TYPE_VIDEO);
      if (this.#stream < 0) throw new Error('there is no picture and no video in it');
      const stream = this.#input.streams[this.#stream];
      const { codecpar, timeBase, avgFrameRate } = stream;
      this.codec = av.avGetCodecName(codecpar.codecId) ?? 'unknown';
      checkSize(codecpar.width, codecpar.height);
      this.#unitNs = (1e9 * timeBase.num) / timeBase.den;
      const periodNs = (1e9 * avgFrameRate.den) / avgFrameRate.num;
      this.#usualNs = periodNs >= 1e6 && periodNs <= MOST_GAP_NS ? periodNs : USUAL_NS;
      this.#lastNs = this.#usualNs;
      const { num, den } = stream.sampleAspectRatio;
      this.#pixelAspect = num > 0 && den > 0 && num / den > 1 / 16 && num / den < 16 ? num / den : 1;
      this.#openDecoder(codecpar);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Width ÷ height of what is to be seen of the picture. */
  get aspect(): number {
    return (this.frame.width * this.#pixelAspect) / this.frame.height;
  }

  /** From the first picture to the end of the last, ns. */
  get lengthNs(): number {
    return this.atNs + this.#lastNs;
  }

  /** Reads on a little. @returns whether `frame` is a new picture, there may be more, or nothing is left. @throws Error a picture that is too large */
  step(): 'picture' | 'more' | 'end' {
    const { AVERROR_EAGAIN, AVERROR_EOF } = this.#av;
    const got = this.#decoder.receiveFrameSync(this.frame);
    if (got >= 0) {
      this.#place();
      return 'picture';
    }
    if (got === AVERROR_EOF) return 'end';
    if (got !== AVERROR_EAGAIN) this.#hurt(got);
    else if (this.#isAtEnd) return 'end';
    if (!this.#isAtEnd) this.#feed();
    return 'more';
  }

  close(): void {
    this.#decoder.freeContext();
    this.frame.free();
    this.#packet.free();
    this.#input.closeInputSync();
    this.#io.closepSync();
  }

  /** By the file's bytes alone: a name could mean a device, an address or a row of files. */
  #open(file: string): void {
    const av = this.#av;
    // Each time: what is a pipe by now would block this thread in a call that nothing ends.
    if (isOther(file)) throw new Error('it is no picture or video that can be read: it is no file');
    this.#check(this.#io.open2Sync(`file:${file}`, av.AVIO_FLAG_READ), 'it cannot be read');
    this.#input.allocContext();
    this.#check(this.#input.setOption('format_whitelist', FORMATS), 'format_whitelist');
    this.#check(this.#input.setOption('protocol_whitelist', 'file'), 'protocol_whitelist');
    this.#input.pb = this.#io;
    this.#check(this.#input.openInputSync('', null, null), 'it is no picture or video that can be read');
    // Of a single picture nothing is to be found that its decoder, which is bounded, does not tell.
    if (!(this.#input.iformat?.name ?? '').endsWith('_pipe'))
      this.#check(this.#input.findStreamInfoSync(null), 'it is no picture or video that can be read');
    this.#packet.alloc();
    this.frame.alloc();
  }

  #openDecoder(codecpar: Lib<'CodecParameters'>): void {
    const av = this.#av;
    const codec = av.Codec.findDecoder(codecpar.codecId);
    if (codec === null) throw new Error(`this FFmpeg has no decoder of what is in it: ${this.codec}`);
    this.#decoder.allocContext3(codec);
    this.#check(this.#decoder.parametersToContext(codecpar), this.codec);
    // One: it shares the CPUs with what is measured.
    this.#decoder.threadCount = 1;
    this.#check(this.#decoder.setOption('max_pixels', String(MOST_SIDE * MOST_SIDE)), 'max_pixels');
    this.#check(this.#decoder.open2Sync(codec, null), `the decoder of ${this.codec} cannot be opened`);
  }

  /** Gives the decoder another packet, or says that there are no more. */
  #feed(): void {
    const av = this.#av;
    const read = this.#input.readFrameSync(this.#packet);
    if (read < 0) {
      if (read !== av.AVERROR_EOF) this.#hurt(read);
      this.#isAtEnd = true;
      this.#decoder.sendPacketSync(null);
      return;
    }
    if (this.#packet.streamIndex === this.#stream) {
      const sent = this.#decoder.sendPacketSync(this.#packet);
      if (sent < 0) this.#hurt(sent);
    }
    this.#packet.unref();
  }

  /** When the picture is to be seen; where its time stamp cannot be true, as long after the one before as is usual. */
  #place(): void {
    const { frame } = this;
    checkSize(frame.width, frame.height);
    if (frame.decodeErrorFlags !== 0) this.damage ??= 'pictures were decoded with errors';
    const known = frame.bestEffortTimestamp;
    const pts = known === this.#av.AV_NOPTS_VALUE ? null : known;
    if (this.pictures > 0) {
      const gap = pts === null || this.#pts === null ? this.#lastNs : Number(pts - this.#pts) * this.#unitNs;
      this.atNs += gap > 0 && gap <= MOST_GAP_NS ? gap : this.#usualNs;
    }
    const lasts = Number(frame.duration) * this.#unitNs;
    this.#lastNs = lasts > 0 && lasts <= MOST_GAP_NS ? lasts : this.#usualNs;
    this.#pts = pts;
    this.pictures++;
  }

  #hurt(code: number): void {
    this.damage ??= this.#av.FFmpegError.strerror(code);
  }

  #check(code: number, what: string): void {
    if (code < 0) throw new Error(`${what}: ${this.#av.FFmpegError.strerror(code)}`);
  }
}

/** Whether there is something that is no file; what cannot be looked at is not told apart here: opening it says why. */
function isOther(file: string): boolean {
  try {
    return !statSync(file).isFile();
  } catch {
    return false;
  }
}

/** @throws Error unless both sides are known and not too long; 0 × 0 is not known yet */
function checkSize(width: number, height: number): void {
  if (width > MOST_SIDE || height > MOST_SIDE) throw new Error(`${width}x${height} pixels are too many: a side has ${MOST_SIDE} at most`);
}
