import { createSharedMemory, MemoryRegion } from '../../core/memory/region.ts';
import { SegmentList } from '../../core/memory/segments.ts';
import { Format } from '../../core/protocol/constants.ts';
import type { NodeAv } from './node-av.ts';

/** Frames from one key frame to the next, unless one is asked for. */
const GROUP = 600;
/** libx264's: the least delay, no B-frames; constant quality. */
const OPTIONS = [
  ['preset', 'ultrafast'],
  ['tune', 'zerolatency'],
  ['crf', '20'],
  // A key frame that is asked for is one that decoding can begin with.
  ['forced-idr', '1'],
] as const;
export const ENCODER = 'libx264 ultrafast zerolatency crf 20, 1 thread';
/** Of level 6.2, the highest (H.264, table A-1: MaxFS), in pixels: what a guest can make the encoder hold is bounded. */
export const MOST_PIXELS = 139_264 * 256;
/** Rows that are converted at a time: what a stop waits for. A multiple of 2, as chroma has half the rows. */
const SLICE_ROWS = 64;
/** swscale may read so far past a row whose width is no multiple of 8. */
const READ_AHEAD = 64;

/** A picture in one range of memory, cut into slices for swscale. */
export interface Slices {
  /** Of each slice: its bytes, as swscale takes them. */
  readonly bytes: readonly (readonly Buffer[])[];
  readonly rows: Int32Array;
  readonly stride: number[];
}

/** @returns null: it cannot be read in place */
export function slicesOf(memory: WebAssembly.Memory, at: number, width: number, height: number, stride: number): Slices | null {
  const end = at + (height - 1) * stride + width * 4;
  if (end > memory.buffer.byteLength || (width % 8 !== 0 && end + READ_AHEAD > memory.buffer.byteLength)) return null;
  const count = Math.ceil(height / SLICE_ROWS);
  const rows = Int32Array.from({ length: count }, (_, i) => Math.min(SLICE_ROWS, height - i * SLICE_ROWS));
  const bytes = Array.from({ length: count }, (_, i) => [
    Buffer.from(memory.buffer as unknown as ArrayBuffer, at + i * SLICE_ROWS * stride, (rows[i] - 1) * stride + width * 4),
  ]);
  return { bytes, rows, stride: [stride] };
}

/**
 * H.264 of one size, from pictures of one format. The colours are converted (BT.601, 4:2:0) by swscale straight from the
 * pictures' bytes into the encoder's input; libx264 then takes that into memory of its own (x264_frame_copy_picture).
 */
export class Encoder {
  /** Pixels: even, as 4:2:0 has it; of an odd size the last column or row is left out. */
  readonly width: number;
  readonly height: number;
  readonly format: number;
  /** Of the converted picture. */
  readonly pictureBytes: number;
  readonly #av: NodeAv;
  readonly #context: InstanceType<NodeAv['CodecContext']>;
  readonly #scale: InstanceType<NodeAv['SoftwareScaleContext']>;
  readonly #picture: InstanceType<NodeAv['Frame']>;
  readonly #packet: InstanceType<NodeAv['Packet']>;
  readonly #planes: Buffer[];
  readonly #strides: number[];
  #scratch: { readonly list: SegmentList; readonly slices: Slices } | null = null;
  #count = 0;
  /** Of the last packet. */
  bytes = 0;
  isKey = false;

  /** @throws Error what FFmpeg refuses */
  constructor(av: NodeAv, width: number, height: number, format: number) {
    this.#av = av;
    this.width = width & ~1;
    this.height = height & ~1;
    this.format = format;
    this.pictureBytes = (this.width * this.height * 3) / 2;
    const context = new av.CodecContext();
    const codec = av.Codec.findEncoderByName(av.FF_ENCODER_LIBX264);
    context.allocContext3(codec);
    context.width = this.width;
    context.height = this.height;
    context.pixelFormat = av.AV_PIX_FMT_YUV420P;
    context.timeBase = new av.Rational(1, 1000);
    context.framerate = new av.Rational(60, 1);
    context.gopSize = GROUP;
    context.maxBFrames = 0;
    context.threadCount = 1;
    context.colorSpace = av.AVCOL_SPC_SMPTE170M;
    context.colorRange = av.AVCOL_RANGE_MPEG;
    // A screen's; where these are not said, decoders guess the matrix, too, from the size.
    context.colorPrimaries = av.AVCOL_PRI_BT709;
    context.colorTrc = av.AVCOL_TRC_IEC61966_2_1;
    // Not as open2's dictionary, which node-av 6.1 frees twice at the thread's end.
    for (const [name, value] of OPTIONS) this.#check(context.setOption(name, value), name);
    this.#check(context.open2Sync(codec, null), 'libx264 cannot be opened');
    this.#context = context;
    this.#picture = new av.Frame();
    this.#picture.alloc();
    this.#picture.width = this.width;
    this.#picture.height = this.height;
    this.#picture.format = av.AV_PIX_FMT_YUV420P;
    this.#check(this.#picture.getBuffer(), 'no memory for a picture');
    this.#planes = this.#picture.data ?? [];
    this.#strides = this.#picture.linesize.slice(0, this.#planes.length);
    this.#scale = new av.SoftwareScaleContext();
    this.#scale.getContext(
      ...([this.width, this.height, pixelFormat(av, format)] as const),
      ...([this.width, this.height, av.AV_PIX_FMT_YUV420P, av.SWS_POINT] as const),
    );
    this.#packet = new av.Packet();
    this.#packet.alloc();
  }

  /** Memory for a picture whose pieces have to be put together, and its slices. Made once. */
  scratch(): { readonly list: SegmentList; readonly slices: Slices } {
    if (this.#scratch !== null) return this.#scratch;
    const stride = this.width * 4;
    const size = Math.ceil((stride * this.height + READ_AHEAD) / 4096) * 4096;
    const memory = createSharedMemory(size);
    const region = new MemoryRegion({ id: 0, name: 'gathered', kind: 'ram', gpa: 0, size, device: null, bar: null, memory });
    const list = new SegmentList(1);
    list.append(region, 0, stride * this.height);
    const slices = slicesOf(memory, 0, this.width, this.height, stride);
    if (slices === null) throw new RangeError('a picture that was put together has slices');
    this.#scratch = { list, slices };
    return this.#scratch;
  }

  /** Converts slice `index`; all of them, from 0 on, make a picture. */
  convert(slices: Slices, index: number): void {
    const { bytes, rows, stride } = slices;
    const done = this.#scale.scaleSync(bytes[index] as Buffer[], stride, index * SLICE_ROWS, rows[index], this.#planes, this.#strides);
    if (done < 0) this.#check(done, 'swscale');
  }

  /**
   * Encodes the converted picture; `bytes` and `isKey` then tell of its packet.
   * @param take given the packet, valid until it returns
   * @param key whether it has to be a key frame
   */
  encode(take: ((packet: Buffer) => void) | null, key = false): void {
    this.#picture.pictType = key ? this.#av.AV_PICTURE_TYPE_I : this.#av.AV_PICTURE_TYPE_NONE;
    this.#picture.pts = BigInt(this.#count++);
    this.#check(this.#context.sendFrameSync(this.#picture), 'libx264');
    this.bytes = 0;
    this.isKey = false;
    for (;;) {
      const got = this.#context.receivePacketSync(this.#packet);
      if (got === this.#av.AVERROR_EAGAIN) return;
      this.#check(got, 'libx264');
      this.bytes += this.#packet.size;
      if (this.#packet.isKeyframe) this.isKey = true;
      const data = take === null ? null : this.#packet.data;
      if (data !== null) take?.(data);
      this.#packet.unref();
    }
  }

  close(): void {
    this.#context.freeContext();
    this.#scale.freeContext();
    this.#picture.free();
    this.#packet.free();
    this.#scratch = null;
  }

  #check(code: number, what: string): void {
    if (code < 0) throw new Error(`${what}: ${this.#av.FFmpegError.strerror(code)}`);
  }
}

/** virtio names a format by the order of its bytes, as FFmpeg does. X is not looked at, nor A. */
function pixelFormat(av: NodeAv, format: number): NodeAv['AV_PIX_FMT_BGR0'] {
  switch (format) {
    case Format.A8R8G8B8:
    case Format.X8R8G8B8:
      return av.AV_PIX_FMT_0RGB;
    case Format.R8G8B8A8:
    case Format.R8G8B8X8:
      return av.AV_PIX_FMT_RGB0;
    case Format.A8B8G8R8:
    case Format.X8B8G8R8:
      return av.AV_PIX_FMT_0BGR;
    default:
      return av.AV_PIX_FMT_BGR0;
  }
}
