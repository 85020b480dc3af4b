import type { NodeAv } from '../encode/node-av.ts';

type Frame = InstanceType<NodeAv['Frame']>;

/** Makes XRGB8888 of one size of whatever was decoded. Transparency is not looked at. */
export class PictureScaler {
  /** Rows of the last picture, `stride` bytes apart. */
  readonly bytes: Uint8Array;
  readonly stride: number;
  readonly #av: NodeAv;
  readonly #scale: InstanceType<NodeAv['SoftwareScaleContext']>;
  readonly #into: Frame;

  /** @throws Error when there is no memory for a picture */
  constructor(av: NodeAv, width: number, height: number) {
    this.#av = av;
    this.#into = new av.Frame();
    this.#into.alloc();
    this.#into.width = width;
    this.#into.height = height;
    this.#into.format = av.AV_PIX_FMT_BGR0;
    this.#into.colorRange = av.AVCOL_RANGE_JPEG;
    this.#check(this.#into.getBuffer(), 'no memory for a picture');
    const [bytes] = this.#into.data ?? [];
    this.bytes = bytes;
    this.stride = this.#into.linesize[0];
    this.#scale = new av.SoftwareScaleContext();
    this.#scale.allocContext();
    this.#check(this.#scale.setOption('sws_flags', 'bilinear+accurate_rnd'), 'swscale');
  }

  /** The context follows size, format and colours of each picture. @throws Error what swscale cannot convert */
  convert(frame: Frame): void {
    this.#check(this.#scale.scaleFrameSync(this.#into, frame), 'swscale');
  }

  close(): void {
    this.#scale.freeContext();
    this.#into.free();
  }

  #check(code: number, what: string): void {
    if (code < 0) throw new Error(`${what}: ${this.#av.FFmpegError.strerror(code)}`);
  }
}
