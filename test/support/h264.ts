import type { SoftwareScaleContext } from 'node-av/lib';

/** Pixels that swscale writes at a time at most. */
const GROUP = 32;

/** A decoded picture, BGRX a pixel. */
export interface Decoded {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint32Array;
}

/** Decodes a file of H.264, picture after picture. */
export async function* decodeH264(path: string): AsyncGenerator<Decoded> {
  // Only now: it may not be installed.
  const { Decoder, Demuxer } = await import('node-av/api');
  const { AV_PIX_FMT_BGR0, AV_PIX_FMT_YUV420P, SWS_BILINEAR } = await import('node-av/constants');
  const library = await import('node-av/lib');
  const input = await Demuxer.open(path);
  const stream = input.video();
  if (stream === undefined) throw new Error(`${path} has no video`);
  const decoder = await Decoder.create(stream);
  let scale: SoftwareScaleContext | null = null;
  for await (const frame of decoder.frames(input.packets(stream.index))) {
    if (frame === null) continue;
    const { width, height } = frame;
    if (scale === null) {
      scale = new library.SoftwareScaleContext();
      scale.getContext(width, height, AV_PIX_FMT_YUV420P, width, height, AV_PIX_FMT_BGR0, SWS_BILINEAR);
    }
    // swscale writes whole groups of pixels, and leaves out a last one that has no room.
    const stride = Math.ceil(width / GROUP) * GROUP;
    const rows = new Uint32Array(stride * height);
    scale.scaleSync(frame.data ?? [], frame.linesize.slice(0, 3), 0, height, [Buffer.from(rows.buffer)], [stride * 4]);
    frame.free();
    const pixels = new Uint32Array(width * height);
    for (let y = 0; y < height; y++) pixels.set(rows.subarray(y * stride, y * stride + width), y * width);
    yield { width, height, pixels };
  }
  decoder.close();
  await input.close();
}

/** Peak signal-to-noise ratio of three channels, dB. @param expected XRGB of pixel x, y */
export function psnr({ width, height, pixels }: Decoded, expected: (x: number, y: number) => number): number {
  let sum = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const a = pixels[y * width + x];
      const b = expected(x, y);
      for (const shift of [0, 8, 16]) sum += (((a >> shift) & 255) - ((b >> shift) & 255)) ** 2;
    }
  }
  return 10 * Math.log10((255 * 255) / (sum / (width * height * 3)));
}
