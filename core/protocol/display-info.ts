/** The body of RESP_OK_DISPLAY_INFO: sixteen `virtio_gpu_display_one` (virtio 1.3 § 5.7.6.7, virtio-gpu §1). */
import { MAX_SCANOUTS } from './constants.ts';
import { DisplayInfo, DisplayOne, Size } from './layout.ts';

/** One output as the device offers it: position and preferred size in px. */
export interface Head {
  x: number;
  y: number;
  width: number;
  height: number;
  enabled: boolean;
}

/**
 * Writes the body (all sixteen outputs, those past `heads` zero) of the response whose header begins at word `at`, and
 * returns the whole response's bytes, 408. The header is left alone: `writeResponseHeader` may come before or after.
 * Heads past the sixteenth are not sent.
 */
export function writeDisplayInfo(w: Uint32Array, at: number, heads: readonly Head[]): number {
  for (let i = 0; i < MAX_SCANOUTS; i++) {
    const one = at + DisplayInfo.heads + i * DisplayInfo.stride;
    const head = i < heads.length ? heads[i] : undefined;
    w[one + DisplayOne.x] = head === undefined ? 0 : head.x;
    w[one + DisplayOne.y] = head === undefined ? 0 : head.y;
    w[one + DisplayOne.width] = head === undefined ? 0 : head.width;
    w[one + DisplayOne.height] = head === undefined ? 0 : head.height;
    w[one + DisplayOne.enabled] = head?.enabled ? 1 : 0;
    w[one + DisplayOne.flags] = 0;
  }
  return Size.respDisplayInfo;
}

/** The sixteen outputs of the response that begins at word `at`; words past the array's end read as zero. */
export function readDisplayInfo(w: Uint32Array, at: number): Head[] {
  const heads: Head[] = [];
  for (let i = 0; i < MAX_SCANOUTS; i++) {
    const one = at + DisplayInfo.heads + i * DisplayInfo.stride;
    heads.push({
      x: w[one + DisplayOne.x] ?? 0,
      y: w[one + DisplayOne.y] ?? 0,
      width: w[one + DisplayOne.width] ?? 0,
      height: w[one + DisplayOne.height] ?? 0,
      enabled: (w[one + DisplayOne.enabled] ?? 0) !== 0,
    });
  }
  return heads;
}
