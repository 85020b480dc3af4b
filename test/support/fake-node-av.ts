import type { NodeAv } from '../../workers/encode/node-av.ts';

const EAGAIN = -11;
const FAILED = -5;

/** What a fake FFmpeg was asked, call by call, as `context.open`; a frame that was sent with its kind, and whether as a key frame. */
export interface FakeNodeAv {
  readonly av: NodeAv;
  readonly calls: string[];
  /** From so many calls of a name on they fail; 1: from the first. */
  fail: { readonly call: string; readonly from: number } | null;
}

/**
 * Stands for node-av where there is no GPU: the calls that the encoders make of it, in order, and no picture. As node-av does it
 * lets what is set of a frames context before its `alloc` fall, and gives a surface only where there is none.
 */
export function fakeNodeAv(): FakeNodeAv {
  const fake: FakeNodeAv = { av: {} as NodeAv, calls: [], fail: null };
  const counts = new Map<string, number>();
  const call = (name: string, detail = ''): number => {
    fake.calls.push(detail === '' ? name : `${name} ${detail}`);
    const count = (counts.get(name) ?? 0) + 1;
    counts.set(name, count);
    return fake.fail !== null && fake.fail.call === name && count >= fake.fail.from ? FAILED : 0;
  };

  class Frame {
    format = '';
    width = 0;
    height = 0;
    pictType = 0;
    pts = 0n;
    holds = false;
    data = [Buffer.alloc(0), Buffer.alloc(0)];
    linesize = [0, 0];
    alloc(): void {}
    getBuffer(): number {
      return call('picture.getBuffer', `${this.format} ${this.width}x${this.height}`);
    }
    unref(): void {
      this.holds = false;
    }
    free(): void {
      call('frame.free');
    }
  }
  class HardwareDeviceContext {
    create(type: string, node: string | null): number {
      return call('device.create', `${type} ${node}`);
    }
    free(): void {
      call('device.free');
    }
  }
  class HardwareFramesContext {
    #said: Record<string, unknown> = {};
    #isThere = false;
    #set(name: string, value: unknown): void {
      if (this.#isThere) this.#said[name] = value;
    }
    set format(value: string) {
      this.#set('format', value);
    }
    set swFormat(value: string) {
      this.#set('swFormat', value);
    }
    set width(value: number) {
      this.#set('width', value);
    }
    set height(value: number) {
      this.#set('height', value);
    }
    alloc(): void {
      this.#isThere = true;
      if (call('surfaces.alloc') < 0) throw new Error('Failed to allocate hardware frames context');
    }
    init(): number {
      const { format, swFormat, width, height } = this.#said;
      return call('surfaces.init', `${format} of ${swFormat} ${width}x${height}`);
    }
    getBuffer(frame: Frame): number {
      if (frame.holds) throw new Error('the frame has a surface');
      frame.holds = true;
      frame.format = 'vaapi';
      return call('surfaces.getBuffer');
    }
    transferDataSync(to: Frame, from: Frame): number {
      return call('surfaces.transfer', `${from.format} to ${to.format}`);
    }
    free(): void {
      call('surfaces.free');
    }
  }
  class Packet {
    size = 100;
    isKeyframe = false;
    data = Buffer.from('packet');
    alloc(): void {}
    unref(): void {}
    free(): void {
      call('packet.free');
    }
  }
  class CodecContext {
    #name = '';
    #waiting: boolean[] = [];
    hwFramesCtx: unknown = null;
    pixelFormat = '';
    allocContext3({ name }: { name: string }): void {
      this.#name = name;
    }
    setOption(name: string, value: string): number {
      return call('context.option', `${name} ${value}`);
    }
    open2Sync(): number {
      return call('context.open', `${this.#name} ${this.pixelFormat}${this.hwFramesCtx === null ? '' : ' with surfaces'}`);
    }
    sendFrameSync({ format, pictType }: Frame): number {
      const code = call(`${this.#name}.send`, `${format}${pictType === 1 ? ' key' : ''}`);
      // One that lags keeps the frame to itself.
      if (code >= 0 && fake.fail?.call !== 'lag') this.#waiting.push(pictType === 1);
      return code;
    }
    receivePacketSync(packet: Packet): number {
      const key = this.#waiting.shift();
      if (key === undefined) return EAGAIN;
      packet.isKeyframe = key;
      return call('context.receive');
    }
    freeContext(): void {
      call('context.free');
    }
  }
  class SoftwareScaleContext {
    getContext(...to: unknown[]): void {
      call('scale.open', `to ${String(to[5])}`);
    }
    scaleSync(): number {
      return call('scale.slice');
    }
    freeContext(): void {
      call('scale.free');
    }
  }
  Object.assign(fake.av, {
    ...{ Frame, HardwareDeviceContext, HardwareFramesContext, Packet, CodecContext, SoftwareScaleContext },
    Rational: class {},
    Codec: { findEncoderByName: (name: string) => ({ name }) },
    FFmpegError: { strerror: (code: number) => `error ${code}` },
    AVERROR_EAGAIN: EAGAIN,
    AV_PICTURE_TYPE_I: 1,
    AV_PICTURE_TYPE_NONE: 0,
    ...{ AV_PIX_FMT_VAAPI: 'vaapi', AV_PIX_FMT_NV12: 'nv12', AV_PIX_FMT_YUV420P: 'yuv420p', AV_HWDEVICE_TYPE_VAAPI: 'vaapi' },
    ...{ FF_ENCODER_LIBX264: 'libx264', FF_ENCODER_H264_VAAPI: 'h264_vaapi', FF_ENCODER_H264_NVENC: 'h264_nvenc' },
  });
  return fake;
}
