import { createSharedMemory, MemoryRegion } from '../../core/memory/region.ts';
import { SegmentList } from '../../core/memory/segments.ts';
import { Format } from '../../core/protocol/constants.ts';
import type { NodeAv } from './node-av.ts';

/** Frames from one key frame to the next, unless one is asked for. */
const GROUP = 600;
/** The least delay, no B-frames; constant quality. */
const LIBX264_OPTIONS = [
  ['preset', 'ultrafast'],
  ['tune', 'zerolatency'],
  ['crf', '20'],
  // A key frame that is asked for is one that decoding can begin with.
  ['forced-idr', '1'],
] as const;
/** Of level 6.2, the highest (H.264, table A-1: MaxFS), in pixels: what a guest can make the encoder hold is bounded. */
export const MOST_PIXELS = 139_264 * 256;
/** Rows that are converted at a time: what a stop waits for. A multiple of 2, as chroma has half the rows. */
const SLICE_ROWS = 64;
/** swscale may read so far past a row whose width is no multiple of 8. */
const READ_AHEAD = 64;

type CodecContext = InstanceType<NodeAv['CodecContext']>;
type Frame = InstanceType<NodeAv['Frame']>;

/** One of FFmpeg's encoders as an `Encoder` uses it: how it is opened, and how it is given a converted picture. */
export interface Codec {
  /** FFmpeg's name of it. */
  readonly name: Parameters<NodeAv['Codec']['findEncoderByName']>[0];
  /** Set before it is opened. */
  readonly options: readonly (readonly [name: string, value: string])[];
  /** AV_PIX_FMT_* that pictures are converted into, of 1.5 bytes a pixel. */
  readonly pictureFormat: NodeAv['AV_PIX_FMT_YUV420P'] | NodeAv['AV_PIX_FMT_NV12'];
  /** Device node of the GPU; null: none is named. */
  readonly device: string | null;
  /** Says what frames it takes, before it is opened. @throws Error why it cannot */
  prepare(context: CodecContext, width: number, height: number): void;
  /** The converted picture as the frame that is sent. @throws Error why it cannot */
  input(picture: Frame): Frame;
  /** After the context is gone. */
  close(): void;
}

/** libx264, on the thread that asks for it. */
export function softwareCodec(av: NodeAv): Codec {
  return {
    name: av.FF_ENCODER_LIBX264,
    options: LIBX264_OPTIONS,
    pictureFormat: av.AV_PIX_FMT_YUV420P,
    device: null,
    prepare(context) {
      context.pixelFormat = av.AV_PIX_FMT_YUV420P;
      context.threadCount = 1;
    },
    input: (picture) => picture,
    close() {},
  };
}

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
 * pictures' bytes into the encoder's input, which it then takes into memory of its own: libx264 (x264_frame_copy_picture) into
 * the CPU's, a GPU's encoder into a surface.
 */
export class Encoder {
  /** Pixels: even, as 4:2:0 has it; of an odd size the last column or row is left out. */
  readonly width: number;
  readonly height: number;
  readonly format: number;
  /** Of the converted picture. */
  readonly pictureBytes: number;
  readonly #av: NodeAv;
  readonly #codec: Codec;
  readonly #context: CodecContext;
  readonly #scale: InstanceType<NodeAv['SoftwareScaleContext']>;
  readonly #picture: Frame;
  readonly #packet: InstanceType<NodeAv['Packet']>;
  #planes: Buffer[] = [];
  #strides: number[] = [];
  #scratch: { readonly list: SegmentList; readonly slices: Slices } | null = null;
  #count = 0;
  /** Of the last packet. */
  bytes = 0;
  isKey = false;

  /** @throws Error what FFmpeg refuses */
  constructor(av: NodeAv, width: number, height: number, format: number, codec: Codec = softwareCodec(av)) {
    this.#av = av;
    this.#codec = codec;
    this.width = width & ~1;
    this.height = height & ~1;
    this.format = format;
    this.pictureBytes = (this.width * this.height * 3) / 2;
    this.#context = new av.CodecContext();
    this.#picture = new av.Frame();
    this.#scale = new av.SoftwareScaleContext();
    this.#packet = new av.Packet();
    try {
      this.#open();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Whether libx264 encodes, and no GPU. */
  get isSoftware(): boolean {
    return this.#codec.name === this.#av.FF_ENCODER_LIBX264;
  }

  /** Device node of the GPU that encodes; null: none is named. */
  get device(): string | null {
    return this.#codec.device;
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
    const { name } = this.#codec;
    const frame = this.#codec.input(this.#picture);
    frame.pictType = key ? this.#av.AV_PICTURE_TYPE_I : this.#av.AV_PICTURE_TYPE_NONE;
    frame.pts = BigInt(this.#count++);
    this.#check(this.#context.sendFrameSync(frame), name);
    this.bytes = 0;
    this.isKey = false;
    for (;;) {
      const got = this.#context.receivePacketSync(this.#packet);
      if (got === this.#av.AVERROR_EAGAIN) break;
      this.#check(got, name);
      this.bytes += this.#packet.size;
      if (this.#packet.isKeyframe) this.isKey = true;
      const data = take === null ? null : this.#packet.data;
      if (data !== null) take?.(data);
      this.#packet.unref();
    }
    // What lags a frame behind is no encoder for whoever waits for this one.
    if (this.bytes === 0) throw new Error(`${name} has taken a frame and given no packet`);
  }

  close(): void {
    this.#context.freeContext();
    this.#codec.close();
    this.#scale.freeContext();
    this.#picture.free();
    this.#packet.free();
    this.#scratch = null;
  }

  #open(): void {
    const codec = this.#codec;
    const av = this.#av;
    const context = this.#context;
    const found = av.Codec.findEncoderByName(codec.name);
    if (found === null) throw new Error(`the FFmpeg of node-av has no ${codec.name}`);
    context.allocContext3(found);
    context.width = this.width;
    context.height = this.height;
    context.timeBase = new av.Rational(1, 1000);
    context.framerate = new av.Rational(60, 1);
    context.gopSize = GROUP;
    context.maxBFrames = 0;
    context.colorSpace = av.AVCOL_SPC_SMPTE170M;
    context.colorRange = av.AVCOL_RANGE_MPEG;
    // A screen's; where these are not said, decoders guess the matrix, too, from the size.
    context.colorPrimaries = av.AVCOL_PRI_BT709;
    context.colorTrc = av.AVCOL_TRC_IEC61966_2_1;
    codec.prepare(context, this.width, this.height);
    // Not as open2's dictionary, which node-av 6.1 frees twice at the thread's end.
    for (const [name, value] of codec.options) this.#check(context.setOption(name, value), `${codec.name}: ${name}`);
    this.#check(context.open2Sync(found, null), `${codec.name} cannot be opened`);
    const picture = this.#picture;
    picture.alloc();
    picture.width = this.width;
    picture.height = this.height;
    picture.format = codec.pictureFormat;
    this.#check(picture.getBuffer(), 'no memory for a picture');
    this.#planes = picture.data ?? [];
    this.#strides = picture.linesize.slice(0, this.#planes.length);
    this.#scale.getContext(
      ...([this.width, this.height, pixelFormat(av, this.format)] as const),
      ...([this.width, this.height, codec.pictureFormat, av.SWS_POINT] as const),
    );
    this.#packet.alloc();
  }

  #check(code: number, what: string): void {
    checkCode(this.#av, code, what);
  }
}

/** @param code of a call of FFmpeg's @throws Error where it is one of failure */
export function checkCode(av: NodeAv, code: number, what: string): void {
  if (code < 0) throw new Error(`${what}: ${av.FFmpegError.strerror(code)}`);
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
