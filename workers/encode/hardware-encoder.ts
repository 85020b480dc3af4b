/** Encoders of GPUs, through FFmpeg: VAAPI and NVENC. */
import { accessSync, constants } from 'node:fs';
import type { EncoderName } from '../../core/machine/options.ts';
import { type Codec, checkCode, Encoder } from './encoder.ts';
import { deviceNodes, noNodes } from './hardware-nodes.ts';
import type { NodeAv } from './node-av.ts';

/** As reports name them: FFmpeg's encoder and its settings. */
export const ENCODER_TITLES: Readonly<Record<EncoderName, string>> = {
  software: 'libx264 ultrafast zerolatency crf 20, 1 thread',
  vaapi: 'h264_vaapi constrained baseline qp 20',
  nvenc: 'h264_nvenc p1 ull baseline qp 20',
};

/** A constant quantiser, which every driver has, near libx264's constant quality. A profile without reordering: nobody waits for it. */
const VAAPI_OPTIONS = [
  ['profile', 'constrained_baseline'],
  ['rc_mode', 'CQP'],
  ['qp', '20'],
  // With 2, as usual, each packet waits for the next frame.
  ['async_depth', '1'],
] as const;

const NVENC_OPTIONS = [
  ['preset', 'p1'],
  ['tune', 'ull'],
  ['profile', 'baseline'],
  ['rc', 'constqp'],
  ['qp', '20'],
  ['zerolatency', '1'],
  // Frames that it may hold before the first packet.
  ['delay', '0'],
  ['forced-idr', '1'],
] as const;

/**
 * The encoder of that name. Of several GPUs the first that can be opened for it.
 * @throws Error why this machine, or that size, has none
 */
export function openEncoder(av: NodeAv, name: EncoderName, width: number, height: number, format: number): Encoder {
  if (name === 'software') return new Encoder(av, width, height, format);
  if (name === 'nvenc') return new Encoder(av, width, height, format, nvencCodec(av));
  return openVaapi(av, width, height, format, deviceNodes('vaapi'));
}

/** @param nodes render nodes @throws Error why none of them encodes */
export function openVaapi(av: NodeAv, width: number, height: number, format: number, nodes: readonly string[]): Encoder {
  const refused: string[] = [];
  for (const node of nodes) {
    try {
      accessible(node);
      return new Encoder(av, width, height, format, new VaapiCodec(av, node));
    } catch (error) {
      refused.push(`${node}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new Error(refused.length === 0 ? noNodes('vaapi') : refused.join('; '));
}

function accessible(node: string): void {
  try {
    accessSync(node, constants.R_OK | constants.W_OK);
  } catch {
    throw new Error('this user may not open it; who is in its group may (often: render)');
  }
}

/** It uploads a picture of ordinary memory by itself (nvenc_upload_frame). */
function nvencCodec(av: NodeAv): Codec {
  return {
    name: av.FF_ENCODER_H264_NVENC,
    options: NVENC_OPTIONS,
    pictureFormat: av.AV_PIX_FMT_NV12,
    device: null,
    prepare(context) {
      context.pixelFormat = av.AV_PIX_FMT_NV12;
    },
    input: (picture) => picture,
    close() {},
  };
}

/** It takes surfaces of the GPU: each picture is uploaded into one (av_hwframe_transfer_data). */
class VaapiCodec implements Codec {
  readonly name;
  readonly options = VAAPI_OPTIONS;
  readonly pictureFormat;
  readonly device: string;
  readonly #av: NodeAv;
  readonly #gpu: InstanceType<NodeAv['HardwareDeviceContext']>;
  readonly #surfaces: InstanceType<NodeAv['HardwareFramesContext']>;
  readonly #surface: InstanceType<NodeAv['Frame']>;

  constructor(av: NodeAv, node: string) {
    this.name = av.FF_ENCODER_H264_VAAPI;
    this.pictureFormat = av.AV_PIX_FMT_NV12;
    this.device = node;
    this.#av = av;
    this.#gpu = new av.HardwareDeviceContext();
    this.#surfaces = new av.HardwareFramesContext();
    this.#surface = new av.Frame();
  }

  prepare(context: InstanceType<NodeAv['CodecContext']>, width: number, height: number): void {
    const av = this.#av;
    checkCode(av, this.#gpu.create(av.AV_HWDEVICE_TYPE_VAAPI, this.device, null), 'it cannot be opened');
    const surfaces = this.#surfaces;
    surfaces.alloc(this.#gpu);
    // Only now: node-av lets what is set before `alloc` fall.
    surfaces.format = av.AV_PIX_FMT_VAAPI;
    surfaces.swFormat = av.AV_PIX_FMT_NV12;
    surfaces.width = width;
    surfaces.height = height;
    checkCode(av, surfaces.init(), `no surfaces of ${width}x${height}`);
    this.#surface.alloc();
    context.pixelFormat = av.AV_PIX_FMT_VAAPI;
    context.hwFramesCtx = surfaces;
  }

  input(picture: InstanceType<NodeAv['Frame']>): InstanceType<NodeAv['Frame']> {
    // The encoder has a reference of its own to the last one as long as it needs it.
    this.#surface.unref();
    checkCode(this.#av, this.#surfaces.getBuffer(this.#surface, 0), 'no surface');
    checkCode(this.#av, this.#surfaces.transferDataSync(this.#surface, picture, 0), 'upload');
    return this.#surface;
  }

  close(): void {
    this.#surface.free();
    this.#surfaces.free();
    this.#gpu.free();
  }
}
