/** Small pictures and films, made by FFmpeg for the tests that show them. */
import type { NodeAv } from '../../workers/encode/node-av.ts';

export interface ContentSpec {
  /** An encoder of FFmpeg's, as `png` or `libx264`. */
  readonly encoder: string;
  /** One of node-av's AV_PIX_FMT_*. */
  readonly format: number;
  readonly width: number;
  readonly height: number;
  readonly pictures: number;
  /** Pictures a second (25). */
  readonly rate?: number;
  /** When each is shown, in units of 1 / rate (0, 1, 2, …). */
  readonly at?: (picture: number) => number;
  /** Width ÷ height of a pixel. */
  readonly pixelAspect?: { readonly num: number; readonly den: number };
  /** Draws a picture: its planes, and the bytes from row to row of each. */
  readonly draw: (picture: number, planes: readonly Buffer[], strides: readonly number[]) => void;
}

/** Writes a file, in the format that its name says. */
export function writeContent(av: NodeAv, path: string, spec: ContentSpec): void {
  const { width, height, rate = 25, at = (picture) => picture, pixelAspect } = spec;
  const check = (code: number, what: string): void => {
    if (code < 0) throw new Error(`${path}, ${what}: ${av.FFmpegError.strerror(code)}`);
  };
  const codec = av.Codec.findEncoderByName(spec.encoder as never);
  if (codec === null) throw new Error(`no encoder ${spec.encoder}`);
  const context = new av.CodecContext();
  context.allocContext3(codec);
  context.width = width;
  context.height = height;
  context.pixelFormat = spec.format as never;
  context.timeBase = new av.Rational(1, rate);
  context.framerate = new av.Rational(rate, 1);
  if (pixelAspect !== undefined) context.sampleAspectRatio = new av.Rational(pixelAspect.num, pixelAspect.den);
  if (spec.encoder === 'libx264') {
    check(context.setOption('preset', 'ultrafast'), 'preset');
    check(context.setOption('qp', '0'), 'qp');
    context.setFlags(av.AV_CODEC_FLAG_GLOBAL_HEADER);
  }
  check(context.open2Sync(codec, null), 'the encoder');
  const output = new av.FormatContext();
  check(output.allocOutputContext2(null, null, path), 'its format');
  const stream = output.newStream(null);
  stream.timeBase = new av.Rational(1, rate);
  check(stream.codecpar.fromContext(context), 'its parameters');
  if (pixelAspect !== undefined) stream.sampleAspectRatio = new av.Rational(pixelAspect.num, pixelAspect.den);
  check(output.openOutputSync(), 'opening');
  check(output.writeHeaderSync(null), 'its header');
  const frame = new av.Frame();
  frame.alloc();
  frame.width = width;
  frame.height = height;
  frame.format = spec.format as never;
  check(frame.getBuffer(), 'a picture');
  const packet = new av.Packet();
  packet.alloc();
  const drain = (): void => {
    while (context.receivePacketSync(packet) >= 0) {
      packet.streamIndex = 0;
      packet.duration = 1n;
      packet.rescaleTs({ num: 1, den: rate }, stream.timeBase);
      check(output.interleavedWriteFrameSync(packet), 'writing');
      packet.unref();
    }
  };
  for (let picture = 0; picture < spec.pictures; picture++) {
    check(frame.makeWritable(), 'a picture');
    spec.draw(picture, frame.data ?? [], frame.linesize);
    frame.pts = BigInt(at(picture));
    check(context.sendFrameSync(frame), 'encoding');
    drain();
  }
  context.sendFrameSync(null);
  drain();
  check(output.writeTrailerSync(), 'its end');
  output.closeOutputSync();
  context.freeContext();
  output.freeContext();
  frame.free();
  packet.free();
}

/** RGB of pixel x, y in the pictures that the tests know again. */
export const knownPixel = (x: number, y: number): readonly [number, number, number] => [(x * 4) & 255, (y * 5) & 255, (x * y) & 255];

/** A picture of `knownPixel`s. */
export function writeStill(av: NodeAv, path: string, encoder: string, format: number, width: number, height: number): void {
  const bytes = format === av.AV_PIX_FMT_RGBA ? 4 : 3;
  writeContent(av, path, {
    ...{ encoder, format, width, height, pictures: 1 },
    draw(_picture, [plane], [stride]) {
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          plane.set(knownPixel(x, y), y * stride + x * bytes);
          // Transparent, which is not looked at.
          if (bytes === 4) plane[y * stride + x * bytes + 3] = 0;
        }
      }
    },
  });
}

/** Of picture N of a film of greys: 16 + 20 N, as its luma says. */
export const greyOf = (picture: number): number => Math.round((20 * picture * 255) / 219);

/** A film of pictures each of which is one grey, lossless. */
export function writeFilm(av: NodeAv, path: string, spec: Partial<ContentSpec> = {}): void {
  const { width = 64, height = 48 } = spec;
  writeContent(av, path, {
    ...{ encoder: 'libx264', format: av.AV_PIX_FMT_YUV420P, width, height, pictures: 10 },
    draw(picture, [y, u, v], [stride, chroma]) {
      for (let row = 0; row < height; row++) y.fill(16 + 20 * picture, row * stride, row * stride + width);
      for (let row = 0; row < Math.ceil(height / 2); row++) {
        u.fill(128, row * chroma, row * chroma + Math.ceil(width / 2));
        v.fill(128, row * chroma, row * chroma + Math.ceil(width / 2));
      }
    },
    ...spec,
  });
}
